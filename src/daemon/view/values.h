// Values as documents have them.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"

namespace stagger::daemon {

// `parts` to the unit: 1000 keeps three decimals, without a tail of binary noise in the text.
inline double Rounded(double value, double parts) { return std::round(value * parts) / parts; }
inline double RoundedMs(Duration duration) { return Rounded(ToMs(duration), 1000); }
inline double RoundedSeconds(Duration duration) { return Rounded(ToMs(duration) / 1000, 1000); }

template <typename Value>
std::optional<Value> If(bool known, Value value) {
  return known ? std::optional<Value>(std::move(value)) : std::nullopt;
}
inline std::optional<std::string> OrNull(const std::string& text) {
  return If(!text.empty(), text);
}

}  // namespace stagger::daemon
