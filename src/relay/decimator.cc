#include "relay/decimator.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace stagger::relay {

TimePoint Decimator::Due(std::int64_t n) const {
  return anchor_ + Duration{std::llround(static_cast<double>(n) * 1e9 / fps_)};
}

void Decimator::Observe(TimePoint at) {
  if (started_ && at >= last_) {
    const Duration most{std::llround(1e9 / fps_)};
    intervals_[observed_ % kWindow] = std::min(at - last_, most);
    ++observed_;
  } else {
    started_ = true;
    anchor_ = at;
    next_ = 0;
    observed_ = 0;
  }
  last_ = at;
}

Duration Decimator::Interval() const {
  const std::size_t known = std::min(observed_, kWindow);
  if (known == 0) return Duration{0};
  const auto end = intervals_.begin() + static_cast<std::ptrdiff_t>(known);
  return std::accumulate(intervals_.begin(), end, Duration{0}) / static_cast<std::int64_t>(known);
}

bool Decimator::Take(TimePoint at) {
  Observe(at);
  // The nearest frame: from half an interval before the due time on no other comes closer.
  const Duration half = Interval() / 2;
  if (at + half < Due(next_)) return false;
  ++next_;
  // Due times that passed while the source gave nothing are gone: their frames must not come in a
  // bunch afterwards. A frame that is late by jitter only keeps its place in the row.
  if (Due(next_) + half <= at) {
    const double behind = static_cast<double>((at - anchor_).count()) * fps_ / 1e9;
    next_ = std::max(next_, static_cast<std::int64_t>(behind));
    while (Due(next_) + half <= at) ++next_;
  }
  return true;
}

}  // namespace stagger::relay
