// What executors say of themselves, once every half second, as the measurements that placement
// looks at. Loop thread only; no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "placement/in_force.h"

namespace stagger::daemon {

// Of one executor.
class ExecutorMeasurements {
 public:
  // Fewer inferences of an app say nothing.
  static constexpr std::uint64_t kLeastSamples = 10;

  // `told`: the executor's status, as it answers Ask. What is not understood is left out.
  placement::DeviceMeasurements Read(const std::string& told);

 private:
  std::uint64_t inferences_ = 0;                 // as of the last time
  std::map<std::string, std::uint64_t> by_app_;  // likewise
};

}  // namespace stagger::daemon
