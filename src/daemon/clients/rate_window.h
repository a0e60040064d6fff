// How much was counted over the last seconds, in buckets of a quarter second. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace stagger::daemon {

class RateWindow {
 public:
  static constexpr Duration kBucket = std::chrono::milliseconds{250};
  static constexpr Duration kLongest = kBucket * 60;

  explicit RateWindow(TimePoint start) : start_(start) {}

  void Add(TimePoint now, std::int64_t amount);
  // The same, spread evenly over the time from `from`, which is no earlier than the last Add.
  void AddOver(TimePoint from, TimePoint now, std::int64_t amount);
  // Amount per second over the last `window` (at most kLongest), or since the start if that is
  // less.
  double PerSecond(TimePoint now, Duration window) const;

 private:
  static constexpr std::int64_t kSlots = 64;

  TimePoint start_;
  std::array<std::int64_t, kSlots> amounts_{};
  std::int64_t newest_ = 0;  // the slot of the latest Add; older ones are in the array behind it
};

}  // namespace stagger::daemon
