// When a camera's frames fall due, as arithmetic: frame n is due at
// start + n / fps. Pure, callable on any thread. Must never read a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace camera_detector {

// CLOCK_MONOTONIC on Linux, so its counts compare across processes.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class Pacing {
 public:
  Pacing(TimePoint start, double fps) : start_(start), fps_(fps) {}

  TimePoint Due(std::int64_t frame) const;

  // The first frame that falls due at `when` or later.
  std::int64_t FirstDueFrom(TimePoint when) const;

 private:
  TimePoint start_;
  double fps_;
};

// How many frames fall due in the first `seconds`.
std::int64_t FramesWithin(double seconds, double fps);

}  // namespace camera_detector
