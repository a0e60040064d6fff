// What people write as text, read. Times and sizes: "50us", "1.5ms", "16GiB", "512M". Faults that
// are ordered for a process: "launch:NAME:N", "address:NAME:N", "lost:NAME:N", "server:NAME:N",
// "hang:NAME:N": what befalls the Nth launch of kernel NAME; several with commas. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

// A number and one of ns, us, ms, s; at most eleven days.
std::optional<Duration> ParseTime(const std::string& text);

// A number > 0 of bytes, or of K, M, G, T (powers of 1024), with or without "B" or "iB".
std::optional<std::uint64_t> ParseSize(const std::string& text);

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
