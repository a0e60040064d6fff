// How much of a device's memory this process has: of the machine's, or of a GPU's as NVML tells.
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "executor/backend.h"

namespace stagger::executor {

// Of the machine's memory, bytes.
std::uint64_t ResidentBytes();  // that this process has
// What nobody has taken, as the kernel estimates it; 0: not known.
std::uint64_t AvailableBytes();

class DeviceMemory {
 public:
  struct Reading {
    std::optional<std::uint64_t> own;  // bytes that this process has; empty: nobody can tell
    std::uint64_t all = 0;             // that are taken of the device, by anybody
  };

  static std::unique_ptr<DeviceMemory> Of(const Target& target);
  virtual ~DeviceMemory() = default;
  virtual Reading Read() const = 0;
};

// What this process took between two readings, bytes. Where it cannot be told apart from others (in
// containers NVML names processes by other numbers), what anybody took.
std::uint64_t Growth(const DeviceMemory::Reading& before, const DeviceMemory::Reading& after);

}  // namespace stagger::executor
