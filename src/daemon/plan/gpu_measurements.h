// What placement is told of a GPU: how long bodies take there, by their turns, and what memory
// others leave. Loop thread only; no I/O.
#pragma once

#include <map>

#include "base/ids.h"
#include "core/engine.h"
#include "daemon/clients/ledger.h"
#include "device/nvidia.h"
#include "placement/in_force.h"

namespace stagger::daemon {

// Of one GPU.
class GpuMeasurements {
 public:
  // Bodies of an app, alone on the device, that make a figure. While its agent learns (20 or so) a
  // turn holds more than the body, so that two such measurements in a row are never both of that.
  static constexpr std::uint64_t kLeastBodies = 30;

  placement::DeviceMeasurements Read(const device::Gpu& gpu, const device::GpuUse& use,
                                     DeviceId device, const core::Engine& engine,
                                     const Ledger& ledger);

 private:
  struct Seen {
    std::uint64_t bodies = 0;
    Duration total{};
  };
  std::map<ClientId, Seen> seen_;  // as of the last figure
};

}  // namespace stagger::daemon
