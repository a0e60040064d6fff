// Time as the whole project speaks it: integer nanoseconds. TimePoint is a
// monotonic instant with an arbitrary epoch; it never crosses a process
// boundary (the wire carries durations). Reading the clock is base/clock.h's
// business, so that pure code can include this header and nothing more.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace stagger {

using Duration = std::chrono::nanoseconds;

struct TimePoint {
  Duration since_epoch{0};

  friend auto operator<=>(TimePoint, TimePoint) = default;
  friend TimePoint operator+(TimePoint t, Duration d) { return {t.since_epoch + d}; }
  friend TimePoint operator-(TimePoint t, Duration d) { return {t.since_epoch - d}; }
  friend Duration operator-(TimePoint a, TimePoint b) { return a.since_epoch - b.since_epoch; }
};

inline constexpr TimePoint kNever{Duration::max()};

inline constexpr double ToMs(Duration d) { return static_cast<double>(d.count()) / 1e6; }
inline constexpr Duration FromMs(double ms) {
  return Duration{static_cast<std::int64_t>(ms * 1e6)};
}

}  // namespace stagger
