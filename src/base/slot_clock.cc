#include "base/slot_clock.h"

#include <algorithm>

namespace stagger {
namespace {

// A wait of this part of a period is no trouble. An app that always asks, and would wait for more,
// comes back sooner than its period less this part: so a trial cannot take it for one that does
// not.
constexpr int kNoticed = 8;

}  // namespace

// The slot after the last one. A call that comes later than two slots has lost all but the latest
// two: one for this call, and one to make up for.
TimePoint SlotClock::NextSlot(TimePoint now, Duration period) const {
  if (!started_) return now;
  const TimePoint next = slot_ + period;
  const auto missed = (now - next) / period;
  return missed > 1 ? next + (missed - 1) * period : next;
}

TimePoint SlotClock::Reserve(TimePoint now, Duration period) {
  if (on_trial_) JudgeTrial(now, period);
  slot_ = started_ ? NextSlot(now, period) : now - period / 2;
  started_ = true;
  const TimePoint opens = slot_ - period / 2;
  if (opens - now <= period / kNoticed) {
    early_ = 0;
  } else if (++early_ >= trial_after_) {
    early_ = 0;
    on_trial_ = true;
    trial_ = now;
    return now;
  }
  return opens;
}

void SlotClock::JudgeTrial(TimePoint now, Duration period) {
  on_trial_ = false;
  if (now - trial_ >= period - period / kNoticed) {
    slot_ = trial_ - period / 2;  // as if it had been the first call
    trial_after_ = kFirstTrial;
  } else if (trial_after_ < kLastTrial) {
    trial_after_ *= kTrialGrowth;
  }
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
