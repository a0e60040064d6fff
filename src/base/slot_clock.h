// When a stream that needs fewer inferences than its app asks for has its next one. Slots lie one
// period apart, counted from the first, so the long-run rate is exact and nothing drifts, however
// the app's calls jitter. A call that comes a little early has its slot all the same. Slots that
// nobody came for are made up for by at most one. Pure; not thread-safe.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace stagger {

class SlotClock {
 public:
  // The call takes the next slot and may go on at the time returned; one in the past: at once.
  // Up to half a period early is no reason to wait; and since the first call may be one that came
  // late, by up to a period, it counts as half a period late. So an app that asks for no more than
  // its rate never waits, and one that does is ahead of it by one call. `period` > 0, here and
  // below.
  // An app that asks for no more than its rate after a burst, as when it warms up, would wait at
  // every call from then on, always as long. So the second call in a row that would wait for more
  // than an eighth of a period goes on at once, on trial: it takes its slot, so the rate stays what
  // it is. If the next one comes a period later, the slots are counted from there; if it comes
  // sooner, the app does ask for more, and is tried again after 4 calls, then 8, 16 ...
  TimePoint Reserve(TimePoint now, Duration period);

  // Whether the call has a slot; then it is taken. Of the app's calls that nearest to the slot's
  // time has it, though not all of those before are known: it is the first that comes no earlier
  // than 3/8 of the time between two calls before the slot. (Half of it would be a toss-up where
  // slots lie halfway between calls, as 4 fps of 30 do; 0 where they lie on calls, as 10 of 30 do.)
  bool Take(TimePoint now, Duration period);

  // Whether the slot of this period has been taken: a call that comes now comes on top.
  bool Ahead(TimePoint now, Duration period) const { return started_ && slot_ + period > now; }

  // The next call begins anew.
  void Restart() { *this = {}; }

 private:
  TimePoint NextSlot(TimePoint now, Duration period) const;

  static constexpr std::int64_t kFirstTrial = 2;
  static constexpr std::int64_t kTrialGrowth = 2;
  static constexpr std::int64_t kLastTrial = kFirstTrial << 20;

  void JudgeTrial(TimePoint now, Duration period);

  bool started_ = false;
  TimePoint slot_{};  // the last that was taken, as it should have come
  // Reserve only.
  std::int64_t early_ = 0;  // calls in a row, since the last trial
  std::int64_t trial_after_ = kFirstTrial;
  bool on_trial_ = false;  // the last call
  TimePoint trial_{};
  // Take only: the app's own rhythm.
  bool called_ = false;
  TimePoint last_call_{};
  Duration interval_{};  // between calls, smoothed; 0: not known
};

}  // namespace stagger
