#include "placement/drift.h"

#include <algorithm>
#include <cmath>

namespace stagger::placement {

bool Drift::Take(double times) {
  if (!std::isfinite(times)) return false;
  times = std::clamp(times, 1.0, kMost);
  if (times > factor_ * kMore) {
    less_ = 0;
    // The smaller one: all of them were at least that.
    next_ = more_ == 0 ? times : std::min(next_, times);
    if (++more_ < kMoreInARow) return false;
    factor_ = next_;
    more_ = 0;
    return true;
  }
  more_ = 0;
  if (factor_ == 1 || times > factor_ * kLess) {
    less_ = 0;
    return false;
  }
  next_ = less_ == 0 ? times : std::max(next_, times);
  if (++less_ < kLessInARow) return false;
  factor_ = next_ < kMore ? 1 : next_;
  less_ = 0;
  return true;
}

}  // namespace stagger::placement
