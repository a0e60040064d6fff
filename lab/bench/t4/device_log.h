// Which app ran when on the virtual GPU, from the GPU's log (docs/virtual-gpu.md): the truth about
// bodies, for apps under control and others alike. Pure.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lab/legs/percentile.h"

namespace stagger::cli {

// From the begin of a body's first kernel to the end of its last.
struct DeviceBody {
  std::uint64_t process = 0;
  TimePoint begin;
  TimePoint end;
};

// In the order in which they began. A body is kernels of class `body` of one process, up to the
// next of its copies or post kernels. Kernels that failed or were cut off are none. Error: a line
// that is no event, with its number.
Result<std::vector<DeviceBody>> ReadBodies(std::istream& log);

struct BodyMeasurements {
  std::optional<Distribution> body_ms;  // of bodies that began in the window
  // Of their time within the window, the share during which bodies of more than k processes ran.
  std::optional<double> overlap_ratio;
};

BodyMeasurements BodiesWithin(const std::vector<DeviceBody>& bodies, TimePoint begin, TimePoint end,
                              int k);

}  // namespace stagger::cli
