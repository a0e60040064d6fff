#include "base/slot_clock.h"

#include <algorithm>

namespace stagger {

// The slot after the last one. Who comes later than two slots has lost all but the latest two: one
// for this call, and one to make up for.
TimePoint SlotClock::NextSlot(TimePoint now, Duration period) const {
  if (!started_) return now;
  const TimePoint next = slot_ + period;
  const auto missed = (now - next) / period;
  return missed > 1 ? next + (missed - 1) * period : next;
}

TimePoint SlotClock::Reserve(TimePoint now, Duration period) {
  slot_ = started_ ? NextSlot(now, period) : now - period / 2;
  started_ = true;
  return slot_ - period / 2;
}

bool SlotClock::Take(TimePoint now, Duration period) {
  if (called_) {
    const Duration since = std::clamp(now - last_call_, Duration{0}, period);
    interval_ += (since - interval_) / (interval_ == Duration{0} ? 1 : 8);
  }
  called_ = true;
  last_call_ = now;
  const TimePoint slot = NextSlot(now, period);
  if (now < slot - interval_ * 3 / 8) return false;
  slot_ = slot;
  started_ = true;
  return true;
}

}  // namespace stagger
