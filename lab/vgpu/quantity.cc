#include "lab/vgpu/quantity.h"

#include <cmath>
#include <cstdlib>
#include <string_view>

namespace stagger::vgpu {

std::optional<Duration> ParseTime(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string_view unit = end;
  const double scale = unit == "ns"   ? 1
                       : unit == "us" ? 1e3
                       : unit == "ms" ? 1e6
                       : unit == "s"  ? 1e9
                                      : 0;
  if (end == text.c_str() || scale == 0 || !(number >= 0) || number * scale > 1e15) {
    return std::nullopt;
  }
  return Duration{std::llround(number * scale)};
}

std::optional<std::uint64_t> ParseSize(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string_view unit = end;
  double scale = 1;
  if (!unit.empty()) {
    const std::size_t power = std::string_view("KMGT").find(unit.front() & ~0x20);
    if (power != std::string_view::npos) {
      scale = std::pow(1024.0, static_cast<double>(power + 1));
      unit.remove_prefix(1);
      if (unit == "iB") unit = "B";
    }
    if (unit == "B") unit = "";
  }
  if (end == text.c_str() || !unit.empty() || !(number > 0) || number * scale > 1e18) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(number * scale);
}

}  // namespace stagger::vgpu
