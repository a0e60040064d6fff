// Which of the agent's devices a CUDA device is. Thread-safe, without a lock: asked on the app's
// threads where a body begins and where an inference ends.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "cuda/driver_types.h"

namespace stagger::cuda_agent {

// The agent's numbers by CUDA's. A number stays the same for the life of the process.
class DeviceNumbers {
 public:
  // -1: not known yet.
  int Find(CUdevice device) const {
    return Has(device) ? numbers_[At(device)].load(std::memory_order_relaxed) - 1 : -1;
  }
  void Note(CUdevice device, int number) {
    if (Has(device)) numbers_[At(device)].store(number + 1, std::memory_order_relaxed);
  }
  void AfterForkInChild() {
    for (std::atomic<int>& number : numbers_) number.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kMost = 64;  // further devices are asked for each time
  static std::size_t At(CUdevice device) { return static_cast<std::size_t>(device); }
  static bool Has(CUdevice device) { return device >= 0 && At(device) < kMost; }

  std::array<std::atomic<int>, kMost> numbers_{};  // plus one; 0: not known
};

// The agent's number of the current context's device. -1: there is none, or no daemon shares it
// out, or the driver does not tell which GPU it is; that is said once.
int CurrentDevice();
void ForgetDevices();  // in the child of a fork

}  // namespace stagger::cuda_agent
