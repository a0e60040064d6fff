// The devices a daemon shares out, in the order of their DeviceId: the CPU, then GPUs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/engine.h"
#include "device/device_choice.h"
#include "device/nvidia.h"

namespace stagger::device {

struct Device {
  core::DeviceSpec spec;
  std::optional<Gpu> gpu;  // empty: the CPU
};

struct Devices {
  std::vector<Device> all;
  std::vector<Gpu> left_out;  // beyond `most_gpus`
};

// `found` as NVML lists them. Error: a GPU that was chosen by number is not there, or too many
// were; `why_none` says why there are none, where there are none.
Result<Devices> Choose(const device::DeviceChoice& choice, std::vector<std::uint16_t> cores,
                       std::span<const Gpu> found, const std::string& why_none,
                       std::size_t most_gpus);

}  // namespace stagger::device
