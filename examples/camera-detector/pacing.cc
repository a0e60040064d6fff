#include "pacing.h"

#include <algorithm>
#include <cmath>

namespace camera_detector {

TimePoint Pacing::Due(std::int64_t frame) const {
  // From the start each time, so that rounding never adds up.
  const double ns = static_cast<double>(frame) * 1e9 / fps_;
  return start_ + std::chrono::nanoseconds(std::llround(ns));
}

std::int64_t Pacing::FirstDueFrom(TimePoint when) const {
  const std::chrono::duration<double> elapsed = when - start_;
  auto frame = static_cast<std::int64_t>(std::floor(elapsed.count() * fps_));
  frame = std::max<std::int64_t>(frame - 1, 0);
  while (Due(frame) < when) ++frame;
  return frame;
}

std::int64_t FramesWithin(double seconds, double fps) {
  // 0.3 s at 10 fps is three frames, although 0.3 * 10 may come out above 3.
  return static_cast<std::int64_t>(std::ceil(seconds * fps - 1e-6));
}

}  // namespace camera_detector
