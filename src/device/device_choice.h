// Which devices a daemon is asked to share out. Pure. The CPU is always one of them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace stagger::device {

struct DeviceChoice {
  bool every_gpu = true;       // "auto"
  std::vector<unsigned> gpus;  // else these, by their numbers on the machine
  friend bool operator==(const DeviceChoice&, const DeviceChoice&) = default;
};

// "auto", or a list of "cpu" (also "cpu:0") and "gpu:N" with commas between. Error: one line with
// the value and what was expected.
Result<DeviceChoice> ParseDeviceChoice(const std::string& text);

std::string GpuName(unsigned number);  // "gpu:0"

}  // namespace stagger::device
