// Times and sizes as people write them: "50us", "1.5ms", "16GiB", "512M". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"

namespace stagger::vgpu {

// A number and one of ns, us, ms, s; at most eleven days.
std::optional<Duration> ParseTime(const std::string& text);

// A number > 0 of bytes, or of K, M, G, T (powers of 1024), with or without "B" or "iB".
std::optional<std::uint64_t> ParseSize(const std::string& text);

}  // namespace stagger::vgpu
