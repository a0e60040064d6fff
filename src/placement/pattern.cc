#include "placement/pattern.h"

#include <algorithm>

namespace stagger::placement {
namespace {

using Ns = std::int64_t;

constexpr long double kSlack = 1e-12L;
constexpr int kMostSteps = 20'000;
constexpr int kMostRounds = 5'000;
// Admit() gives up after five million deadlines, so this must do so sooner.
constexpr long double kMostDeadlines = 2e6L;

}  // namespace

bool PatternTest::Passes(TypeId type, std::span<const Portion> pattern) const {
  ++asked_;
  items_.clear();
  long double used = 0;
  double memory = 0;
  for (const Portion& portion : pattern) {
    memory += catalogue_.at(portion.of).need.memory_gb * portion.count;
  }
  const bool swaps = !catalogue_.FitsMemory(type, memory);
  if (swaps && !catalogue_.swapping()) return false;
  for (const Portion& portion : pattern) {
    const StreamClass& serves = catalogue_.at(portion.of);
    const Part& part = serves.on[type];
    if (!part.fits || (swaps && !part.loading)) return false;
    const admission::Task& task = swaps ? *part.loading : part.task;
    const Ns body = task.body.count();
    const Ns bodies = body * portion.count;
    used += static_cast<long double>(bodies) / task.period.count();
    const Item item{task.deadline.count(), task.period.count(), body, bodies};
    auto at = items_.end();
    while (at != items_.begin() && std::prev(at)->due > item.due) --at;
    items_.insert(at, item);
  }
  if (used > 1 + kSlack) return false;
  // longest_[i]: of the items from i on.
  longest_.assign(items_.size() + 1, 0);
  for (std::size_t i = items_.size(); i-- > 0;) {
    longest_[i] = std::max(longest_[i + 1], items_[i].body);
  }
  return PassesLinear() || PassesExact(used);
}

bool PatternTest::PassesLinear() const {
  long double sum = 0;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    sum += static_cast<long double>(item.bodies) / std::min(item.due, item.period);
    if (i + 1 < items_.size() && items_[i + 1].due == item.due) continue;
    if (sum + static_cast<long double>(longest_[i + 1]) / item.due > 1 - kSlack) return false;
  }
  return true;
}

// h(t): all that is due by then.
Ns PatternTest::Work(Ns until) const {
  Ns work = 0;
  for (const Item& item : items_) {
    if (item.due > until) break;
    work += ((until - item.due) / item.period + 1) * item.bodies;
  }
  return work;
}

// Whether h(t) + blocked <= t for all t in [low, high]; no deadline may begin or end to block
// within.
bool PatternTest::Walk(Ns low, Ns high, Ns blocked) const {
  Ns time = high;
  for (int step = 0; time >= low; ++step) {
    if (step == kMostSteps) return false;
    const Ns need = Work(time) + blocked;
    if (need > time) return false;
    if (need < time) {
      // What is due by any time from `need` on is no more than `need`.
      time = need;
      continue;
    }
    Ns before = 0;
    for (const Item& item : items_) {
      if (item.due >= time) break;
      before = std::max(before, item.due + (time - 1 - item.due) / item.period * item.period);
    }
    time = before;
  }
  return true;
}

Ns PatternTest::Busy() const {
  Ns busy = 0;
  for (const Item& item : items_) busy += item.bodies;
  for (int round = 0; round < kMostRounds; ++round) {
    Ns next = 0;
    for (const Item& item : items_) next += (busy + item.period - 1) / item.period * item.bodies;
    if (next == busy) return busy;
    busy = next;
  }
  return -1;
}

bool PatternTest::PassesExact(long double used) const {
  for (std::size_t i = 0; i + 1 < items_.size(); ++i) {
    if (items_[i + 1].due == items_[i].due) continue;
    if (!Walk(items_[i].due, items_[i + 1].due - 1, longest_[i + 1])) return false;
  }
  // From the last first deadline on nothing blocks.
  const Ns last = items_.back().due;
  long double late = 0;
  long double rate = 0;
  for (const Item& item : items_) {
    const long double share = static_cast<long double>(item.bodies) / item.period;
    late += share * std::max<Ns>(0, item.period - item.due);
    rate += static_cast<long double>(item.bodies) / item.body / item.period;
  }
  long double end = 1 - used > kSlack ? (late + longest_[0]) / (1 - used) : 1e18L;
  if (end * rate > kMostDeadlines) {
    const Ns busy = Busy();
    if (busy < 0 || busy * rate > kMostDeadlines) return false;
    end = busy;
  }
  return Walk(last, std::max<Ns>(last, static_cast<Ns>(end) + 1), 0);
}

std::uint32_t PatternTest::RoomFor(TypeId type, std::span<const Portion> pattern, ClassId of,
                                   std::uint32_t most) const {
  if (!catalogue_.at(of).on[type].fits) return 0;
  scratch_.assign(pattern.begin(), pattern.end());
  scratch_.push_back({of, 0});
  const auto fits = [&](std::uint32_t count) {
    scratch_.back().count = count;
    return Passes(type, scratch_);
  };
  std::uint32_t room = 0;
  std::uint32_t step = 1;
  while (room < most && fits(std::min(most, room + step))) {
    room = std::min(most, room + step);
    step *= 2;
  }
  while (step > 1) {
    step /= 2;
    if (room + step <= most && fits(room + step)) room += step;
  }
  return room;
}

double PatternTest::MemoryOf(std::span<const Portion> pattern) const {
  double memory = 0;
  for (const Portion& portion : pattern) {
    memory += catalogue_.at(portion.of).need.memory_gb * portion.count;
  }
  return memory;
}

double PatternTest::ShareOf(TypeId type, std::span<const Portion> pattern) const {
  double share = 0;
  for (const Portion& portion : pattern) {
    share += catalogue_.at(portion.of).on[type].share * portion.count;
  }
  return share;
}

void AddTo(Pattern& pattern, ClassId of, std::uint32_t count) {
  const auto at = std::ranges::lower_bound(pattern, of, {}, &Portion::of);
  if (at != pattern.end() && at->of == of) {
    at->count += count;
  } else {
    pattern.insert(at, {of, count});
  }
}

}  // namespace stagger::placement
