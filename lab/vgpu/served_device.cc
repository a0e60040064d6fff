#include "lab/vgpu/served_device.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace stagger::vgpu {
namespace {

constexpr Duration kBusyWindow = std::chrono::seconds{1};

// What is within the device is as much slower as its kernels are; the bus to the host is not.
Model ModelInUse(Model model) {
  model.local_gbps *= model.speed;
  return model;
}

// The same for everybody on the device, another for the next server on this machine. Its number
// comes first, so that an abbreviated one still says which.
std::array<char, 16> Uuid(std::uint32_t number) {
  std::array<char, 16> uuid{0, 's', 't', 'a', 'g', 'g', 'e', 'r', '-', 'v', 'g', 'p'};
  uuid[0] = static_cast<char>(number);
  const std::int32_t pid = getpid();
  std::memcpy(uuid.data() + 12, &pid, sizeof pid);
  return uuid;
}

}  // namespace

ServedDevice::ServedDevice(std::uint32_t of_number, const Model& of_model, Mode mode)
    : number(of_number), model(of_model), device(ModelInUse(of_model), mode) {}

Welcome ServedDevice::About() const {
  Welcome about;
  about.lost = lost;
  about.poisoned = device.poisoned();
  about.speed = model.speed;
  about.memory = model.memory_bytes;
  std::memcpy(about.uuid, Uuid(number).data(), sizeof about.uuid);
  model.name.copy(about.name, sizeof about.name - 1);
  model.label.copy(about.label, sizeof about.label - 1);
  return about;
}

Duration ServedDevice::Slowed(Duration cost) const {
  return model.speed == 1 ? cost
                          : Duration{std::llround(static_cast<double>(cost.count()) / model.speed)};
}

void ServedDevice::Sample(TimePoint now) {
  if (samples_.empty() || now - samples_.back().first >= kBusyWindow / 10) {
    samples_.emplace_back(now, device.BusyTime(now));
  }
  while (samples_.size() > 1 && now - samples_[1].first >= kBusyWindow) samples_.pop_front();
}

std::uint32_t ServedDevice::BusyPercent(TimePoint now) {
  const Duration busy = device.BusyTime(now);
  while (samples_.size() > 1 && now - samples_[1].first >= kBusyWindow) samples_.pop_front();
  const auto [since, before] = samples_.empty() ? std::pair{now, busy} : samples_.front();
  if (now <= since) return 0;
  const double share =
      static_cast<double>((busy - before).count()) / static_cast<double>((now - since).count());
  return static_cast<std::uint32_t>(std::clamp(share * 100, 0.0, 100.0));
}

}  // namespace stagger::vgpu
