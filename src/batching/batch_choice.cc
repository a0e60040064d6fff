#include "batching/batch_choice.h"

#include <vector>

namespace stagger::batching {
namespace {

// Less is not worth making the first ones wait for the last, and may be noise.
constexpr double kLeastGain = 0.10;
// A larger batch has to be faster per item by more than this than a smaller one.
constexpr double kLeastStep = 0.02;
// A batch whose time is not known yet takes no longer than its items one by one, and so much.
constexpr double kTrialMargin = 1.25;

Duration Times(Duration duration, double factor) {
  return Duration{static_cast<Duration::rep>(static_cast<double>(duration.count()) * factor)};
}

bool IsPowerOfTwo(int n) { return n > 0 && (n & (n - 1)) == 0; }

class Choice {
 public:
  Choice(std::span<const WaitingRequest> waiting, const BatchLimits& limits, TimePoint now)
      : waiting_(waiting), limits_(limits), now_(now) {}

  // Whether the first `count` of those that join may take so long together: all that would be in
  // time one after the other still are.
  bool InTime(std::size_t count, Duration took) const {
    if (took > limits_.patience) return false;
    Duration serial{};
    Duration behind = took;
    std::size_t joined = 0;
    for (const WaitingRequest& request : waiting_) {
      serial += request.alone;
      const bool member = request.joins && joined < count;
      joined += member ? 1 : 0;
      if (!member) behind += request.alone;
      const Duration end = member ? took : behind;
      if (request.due != kNever && now_ + serial <= request.due && now_ + end > request.due) {
        return false;
      }
    }
    return true;
  }

  // Whether a request misses a deadline one after the other.
  bool SerialIsLate() const {
    Duration serial{};
    for (const WaitingRequest& request : waiting_) {
      serial += request.alone;
      if (request.due != kNever && now_ + serial > request.due) return true;
    }
    return false;
  }

 private:
  std::span<const WaitingRequest> waiting_;
  const BatchLimits& limits_;
  TimePoint now_;
};

}  // namespace

BatchChoice ChooseBatch(std::span<const WaitingRequest> waiting, const BatchCurve& curve,
                        const BatchLimits& limits, TimePoint now) {
  const Choice choice(waiting, limits, now);
  BatchChoice best{.items = waiting.front().items};
  // What one item costs by itself has to be known first, and known still.
  if (!waiting.front().joins || !curve.Fresh(best.items)) return best;
  const Duration alone = waiting.front().alone;
  double best_per_item = static_cast<double>(alone.count()) / best.items * (1 - kLeastGain);
  const bool may_try = limits.saturated || choice.SerialIsLate();
  Duration serial{};
  std::size_t count = 0;
  int items = 0;
  for (const WaitingRequest& request : waiting) {
    if (!request.joins) continue;
    if (items + request.items > limits.max_items) break;
    ++count;
    items += request.items;
    serial += request.alone;
    if (count == 1) continue;
    const std::optional<Duration> typical = curve.Typical(items);
    if (may_try && IsPowerOfTwo(items) && !curve.Fresh(items)) {
      // The first time one of them also runs alone, to compare the results.
      const Duration check = curve.Tried(items) ? Duration{} : alone;
      const Duration guess = Times(serial, kTrialMargin) + check;
      if (choice.InTime(count, guess)) return {count, items, true};
    }
    if (!typical || *typical > Times(serial, 1 - kLeastGain)) continue;
    const Duration check = curve.Tried(items) ? Duration{} : alone;
    const double per_item = static_cast<double>(typical->count()) / items;
    if (per_item >= best_per_item) continue;
    if (!choice.InTime(count, *curve.Longest(items) + check)) continue;
    best = {count, items, false};
    best_per_item = per_item * (1 - kLeastStep);
  }
  return best;
}

}  // namespace stagger::batching
