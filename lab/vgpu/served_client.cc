#include "lab/vgpu/served_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
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

constexpr std::size_t kMaxDonePerPacket = 1024;
constexpr std::size_t kMaxUnsent = 64u << 20;  // bytes a client may leave unread

ssize_t SendNow(int fd, const std::vector<std::byte>& packet) {
  return send(fd, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
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

void ServedClient::Send(const std::vector<std::byte>& packet) {
  if (broken) return;
  if (unsent_.empty()) {
    if (SendNow(socket.get(), packet) >= 0) return;
    broken = errno != EAGAIN;
    if (broken) return;
  }
  unsent_bytes_ += packet.size();
  unsent_.push_back(packet);
  broken = unsent_bytes_ > kMaxUnsent;
}

void ServedClient::SendUnsent() {
  while (!unsent_.empty() && !broken) {
    const std::vector<std::byte>& packet = unsent_.front();
    if (SendNow(socket.get(), packet) < 0) {
      broken = errno != EAGAIN;
      return;
    }
    unsent_bytes_ -= packet.size();
    unsent_.pop_front();
  }
}

void ServedClient::AddDone(const Outcome& outcome) {
  done_.push_back({outcome.op.id, outcome.end.since_epoch.count(), outcome.result, outcome.run_host,
                   outcome.wanted});
  urgent_ = urgent_ || outcome.wanted;
}

void ServedClient::Want(std::uint64_t op) {
  unit->device.Want(key, op);
  for (DoneRecord& record : done_) {
    // It is over already, and was not going to be told at once.
    if (record.id == op) urgent_ = record.wanted = true;
  }
}

void ServedClient::TellDone() {
  for (std::size_t from = 0; from < done_.size(); from += kMaxDonePerPacket) {
    const std::size_t count = std::min(kMaxDonePerPacket, done_.size() - from);
    PacketWriter writer;
    DoneHeader header;
    header.count = static_cast<std::uint32_t>(count);
    writer.Put(header);
    for (std::size_t i = 0; i < count; ++i) writer.Put(done_[from + i]);
    Send(writer.bytes());
  }
  done_.clear();
  urgent_ = false;
}

bool ServedClient::Name(const NameRecord& record, std::string_view text) {
  if (record.id != names_.size()) return false;
  names_.emplace_back(text);
  const auto& kernels = unit->model.kernels;
  const auto listed = kernels.find(names_.back());
  costs_.push_back(listed == kernels.end() ? std::nullopt : std::optional(listed->second));
  return true;
}

Op ServedClient::OpOf(const OpRecord& record, const KernelCost& default_cost) const {
  Op op;
  op.id = record.id;
  op.kind = record.kind;
  op.fault = record.fault;
  op.bytes = record.bytes;
  op.stream = record.stream;
  op.name = record.name;
  if (record.kind != OpKind::kKernel) return op;
  const KernelCost& listed = costs_[record.name].value_or(default_cost);
  op.cost = unit->Slowed(record.cost_ns >= 0 ? Duration{record.cost_ns} : listed.cost);
  op.demand = record.demand > 0 ? std::min(record.demand, 1.0) : listed.demand;
  const bool post = record.post == 2 ? listed.post : record.post == 1;
  op.phase = post ? sim::Phase::kPost : sim::Phase::kBody;
  return op;
}

bool ServedClient::Reserve(std::uint64_t bytes) {
  if (bytes > unit->free_bytes() || bytes > limit - used_) return false;
  used_ += bytes;
  unit->used += bytes;
  return true;
}

bool ServedClient::Release(std::uint64_t bytes) {
  if (bytes > used_) return false;
  used_ -= bytes;
  unit->used -= bytes;
  return true;
}

}  // namespace stagger::vgpu
