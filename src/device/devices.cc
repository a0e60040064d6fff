#include "device/devices.h"

#include <algorithm>
#include <utility>

namespace stagger::device {
namespace {

std::string NamesOf(std::span<const Gpu> gpus) {
  std::string names;
  for (const Gpu& gpu : gpus) names += (names.empty() ? "" : ", ") + device::GpuName(gpu.number);
  return names;
}

}  // namespace

Result<Devices> Choose(const device::DeviceChoice& choice, std::vector<std::uint16_t> cores,
                       std::span<const Gpu> found, const std::string& why_none,
                       std::size_t most_gpus) {
  if (choice.gpus.size() > most_gpus) {
    return Error{"devices: " + std::to_string(choice.gpus.size()) + " GPUs are named; expected " +
                 std::to_string(most_gpus) + " at most"};
  }
  Devices devices;
  devices.all.push_back({{"cpu:0", std::move(cores)}, std::nullopt});
  const auto add = [&](const Gpu& gpu) {
    devices.all.push_back({{device::GpuName(gpu.number), {}}, gpu});
  };
  if (choice.every_gpu) {
    const std::size_t taken = std::min(most_gpus, found.size());
    std::ranges::for_each(found.first(taken), add);
    devices.left_out.assign(found.begin() + static_cast<std::ptrdiff_t>(taken), found.end());
  }
  for (const unsigned number : choice.gpus) {
    const auto gpu = std::ranges::find(found, number, &Gpu::number);
    if (gpu == found.end()) {
      return Error{"devices: " + device::GpuName(number) + " is not on this machine; it has " +
                   (found.empty() ? "no GPU (" + why_none + ")" : NamesOf(found))};
    }
    add(*gpu);
  }
  return devices;
}

}  // namespace stagger::device
