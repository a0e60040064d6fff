// Faults that are ordered for a process, as text: "launch:NAME:N", "address:NAME:N",
// "lost:NAME:N", "server:NAME:N", "hang:NAME:N": what befalls the Nth launch of kernel NAME;
// several with commas. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

struct FaultOrder {
  Fault fault = Fault::kNone;
  std::string kernel;
  std::uint64_t nth = 1;
};

// Error: names the part that is no fault, and what was expected.
Result<std::vector<FaultOrder>> ParseFaults(const std::string& text);

// Up to the next `separator`, which is taken off `rest` too.
std::string NextPart(std::string* rest, char separator);

}  // namespace stagger::vgpu
