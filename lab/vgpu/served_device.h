// One of the server's devices: its processor in model time, and what is counted of it. The server's
// thread only; knows no sockets.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "base/time.h"
#include "lab/vgpu/device.h"
#include "lab/vgpu/model.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

struct ServedDevice {
  ServedDevice(std::uint32_t of_number, const Model& of_model, Mode mode);

  // All but `result` and `devices`.
  Welcome About() const;
  std::uint64_t free_bytes() const { return model.memory_bytes - used; }
  // What takes `cost` on a device of speed 1.
  Duration Slowed(Duration cost) const;
  // The share of the last second in which a kernel ran. Sample() is to be called now and then.
  std::uint32_t BusyPercent(TimePoint now);
  void Sample(TimePoint now);

  const std::uint32_t number;
  const Model& model;
  Device device;
  std::uint64_t used = 0;  // bytes
  bool lost = false;

 private:
  std::deque<std::pair<TimePoint, Duration>> samples_;  // of its busy time
};

}  // namespace stagger::vgpu
