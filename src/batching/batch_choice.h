// Which of the requests that wait at an executor run now, as one. It never waits for more to come:
// what waits is served at once, in the order of deadlines; a batch takes the one that is due first
// and those of the same model behind it.
//
// Pure: the same decisions in an executor and in the simulator.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/time.h"
#include "batching/batch_curve.h"

namespace stagger::batching {

// One inference that waits.
struct WaitingRequest {
  TimePoint due = kNever;  // when its result is needed
  Duration alone{};        // how long it takes by itself, as far as is known
  int items = 1;           // along the first dimension
  bool joins = false;      // could share a batch with the first
};

// The first `count` of those that join, the very first among them, run as one of `items`.
struct BatchChoice {
  std::size_t count = 1;
  int items = 1;
  bool trial = false;  // to find out how long it takes
};

struct BatchLimits {
  int max_items = 1;
  // The longest that a batch may hold up a request which comes right after it began: the least of
  // all users' deadlines less what their own inference takes.
  Duration patience = Duration::max();
  // Requests have been waiting for long: sizes whose time is not known may be tried, for the memory
  // and the wait they cost. Where one after the other is too late they may be in any case.
  bool saturated = false;
};

// `waiting`, not empty, in the order of service; `curve` of the first one's model. A batch is
// chosen if it is faster per item than one after the other, and no request misses a deadline by
// it that would be met one after the other. Of several, the fastest per item.
BatchChoice ChooseBatch(std::span<const WaitingRequest> waiting, const BatchCurve& curve,
                        const BatchLimits& limits, TimePoint now);

}  // namespace stagger::batching
