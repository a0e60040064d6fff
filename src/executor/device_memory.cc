#include "executor/device_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "device/nvidia.h"

namespace stagger::executor {
namespace {

class HostMemory : public DeviceMemory {
 public:
  Reading Read() const override { return {ResidentBytes(), 0}; }
};

class GpuMemory : public DeviceMemory {
 public:
  GpuMemory(std::unique_ptr<device::Nvidia> nvidia, unsigned number)
      : nvidia_(std::move(nvidia)), number_(number) {}

  Reading Read() const override {
    const device::GpuUse use = nvidia_->UseOf(number_);
    Reading reading{std::nullopt, use.memory_bytes.value_or(0)};
    if (!use.processes) return reading;
    for (const device::GpuProcess& process : *use.processes) {
      if (process.pid == getpid()) reading.own = process.memory_bytes;
    }
    return reading;
  }

 private:
  std::unique_ptr<device::Nvidia> nvidia_;
  unsigned number_;
};

std::uint64_t More(std::uint64_t before, std::uint64_t after) {
  return after - std::min(before, after);
}

}  // namespace

std::uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t AvailableBytes() {
  std::ifstream facts("/proc/meminfo");
  std::string field;
  std::uint64_t kib = 0;
  while (facts >> field >> kib) {
    if (field == "MemAvailable:") return kib << 10;
    facts.ignore(64, '\n');
  }
  return 0;
}

std::unique_ptr<DeviceMemory> DeviceMemory::Of(const Target& target) {
  if (target.gpu) {
    if (Result<std::unique_ptr<device::Nvidia>> nvidia = device::Nvidia::Open()) {
      return std::make_unique<GpuMemory>(std::move(nvidia).value(), *target.gpu);
    }
  }
  return std::make_unique<HostMemory>();
}

std::uint64_t Growth(const DeviceMemory::Reading& before, const DeviceMemory::Reading& after) {
  // Before its first call a process is not on the GPU, and so not in the list.
  if (after.own) return More(before.own.value_or(0), *after.own);
  return More(before.all, after.all);
}

}  // namespace stagger::executor
