#include "admission/admission.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <utility>

namespace stagger::admission {
namespace {

using Ns = Duration::rep;

// Rounding must never admit what the exact test would not.
constexpr long double kSlack = 1e-12L;
constexpr std::size_t kMostDeadlines = 5'000'000;
constexpr int kMostRounds = 10'000;
constexpr Ns kFarAway = 400LL * 24 * 3600 * 1'000'000'000;  // beyond any deadline

struct Ordered {
  Ns due;  // d = D - J; kFarAway where there is no rate
  std::size_t task;
};

// By d ascending.
std::vector<Ordered> ByDue(std::span<const Task> tasks) {
  std::vector<Ordered> order;
  order.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    const Ns due = task.period > Duration{} ? (task.deadline - task.jitter).count() : kFarAway;
    order.push_back({due, i});
  }
  std::ranges::stable_sort(order, {}, &Ordered::due);
  return order;
}

// longest[i]: of order[i..], the position with the longest body; order.size() at the end.
std::vector<std::size_t> LongestFrom(std::span<const Task> tasks,
                                     const std::vector<Ordered>& order) {
  std::vector<std::size_t> longest(order.size() + 1, order.size());
  for (std::size_t i = order.size(); i-- > 0;) {
    const std::size_t later = longest[i + 1];
    const bool longer =
        later == order.size() || tasks[order[i].task].body >= tasks[order[later].task].body;
    longest[i] = longer ? i : later;
  }
  return longest;
}

long double Utilisation(std::span<const Task> tasks) {
  long double sum = 0;
  for (const Task& task : tasks) {
    if (task.period > Duration{}) {
      sum += static_cast<long double>(task.body.count()) / task.period.count();
    }
  }
  return sum;
}

// How long the device can be busy without a pause if all begin at once; kFarAway if there is no end
// in sight.
Ns BusyTime(std::span<const Task> tasks) {
  Ns busy = 0;
  for (const Task& task : tasks) {
    if (task.period > Duration{}) busy += task.body.count();
  }
  for (int round = 0; round < kMostRounds; ++round) {
    Ns next = 0;
    for (const Task& task : tasks) {
      if (task.period == Duration{}) continue;
      const Ns period = task.period.count();
      next += (busy + task.jitter.count() + period - 1) / period * task.body.count();
      if (next > kFarAway) return kFarAway;
    }
    if (next == busy) return busy;
    busy = next;
  }
  return kFarAway;
}

// No deadline after this can be the first one missed.
Ns Horizon(std::span<const Task> tasks, const std::vector<Ordered>& order, long double used) {
  Ns last_due = 0;
  for (const Ordered& entry : order) {
    if (entry.due < kFarAway) last_due = std::max(last_due, entry.due);
  }
  Ns horizon = kFarAway;
  const long double idle = 1 - used;
  if (idle > kSlack) {
    // h(t) <= U t + sum of (T - d) U, so from here on there is room even for the longest body.
    long double sum = 0;
    Ns longest = 0;
    for (const Ordered& entry : order) {
      const Task& task = tasks[entry.task];
      longest = std::max(longest, task.body.count());
      if (task.period == Duration{}) continue;
      const long double share = static_cast<long double>(task.body.count()) / task.period.count();
      sum += share * std::max<Ns>(0, task.period.count() - entry.due);
    }
    const long double end = (longest + sum) / idle;
    if (end < static_cast<long double>(kFarAway)) horizon = static_cast<Ns>(end) + 1;
    if (horizon <= last_due) return horizon;
  }
  // After the last first deadline nothing blocks but bodies of no rate, which the bound above
  // covers.
  const bool without_rate = !order.empty() && order.back().due == kFarAway;
  if (without_rate) return horizon;
  return std::min(horizon, std::max(last_due, BusyTime(tasks)));
}

bool PassesLinear(std::span<const Task> tasks, const std::vector<Ordered>& order,
                  const std::vector<std::size_t>& longest) {
  long double sum = 0;
  for (std::size_t i = 0; i < order.size() && order[i].due < kFarAway; ++i) {
    const Task& task = tasks[order[i].task];
    if (order[i].due <= 0) return false;
    const Ns apart = std::min<Ns>(order[i].due, task.period.count());
    sum += static_cast<long double>(task.body.count()) / apart;
    if (i + 1 < order.size() && order[i + 1].due == order[i].due) continue;
    const std::size_t blocker = longest[i + 1];
    const Ns blocked = blocker < order.size() ? tasks[order[blocker].task].body.count() : 0;
    if (sum + static_cast<long double>(blocked) / order[i].due > 1 - kSlack) return false;
  }
  return true;
}

}  // namespace

bool AdmitLinear(std::span<const Task> tasks) {
  const std::vector<Ordered> order = ByDue(tasks);
  return PassesLinear(tasks, order, LongestFrom(tasks, order));
}

Admission Admit(std::span<const Task> tasks) {
  Admission result;
  const long double used = Utilisation(tasks);
  result.utilisation = static_cast<double>(used);
  const std::vector<Ordered> order = ByDue(tasks);
  const std::vector<std::size_t> longest = LongestFrom(tasks, order);
  if (PassesLinear(tasks, order, longest)) {
    result.admitted = true;
    result.decided = Admission::Test::kLinear;
    return result;
  }
  const bool overload = used > 1 + kSlack;
  // Under overload a deadline is missed some day; finding the first makes the reason plain.
  const Ns horizon = overload ? kFarAway : Horizon(tasks, order, used);

  using Due = std::pair<Ns, std::size_t>;  // a deadline, and its task's position in `order`
  std::priority_queue<Due, std::vector<Due>, std::greater<>> next;
  for (std::size_t i = 0; i < order.size() && order[i].due < kFarAway; ++i) {
    next.emplace(order[i].due, i);
  }
  Ns demand = 0;
  std::size_t begun = 0;  // of order: those with a first deadline by now
  for (std::size_t seen = 0; !next.empty() && next.top().first <= horizon; ++seen) {
    if (seen == kMostDeadlines) {
      result.decided = overload ? Admission::Test::kOverload : Admission::Test::kGaveUp;
      return result;
    }
    const auto [time, at] = next.top();
    next.pop();
    const Task& task = tasks[order[at].task];
    demand += task.body.count();
    next.emplace(time + task.period.count(), at);
    if (next.top().first == time) continue;
    while (begun < order.size() && order[begun].due <= time) ++begun;
    const std::size_t blocker = longest[begun];
    const Ns blocked = blocker < order.size() ? tasks[order[blocker].task].body.count() : 0;
    if (demand + blocked <= time) continue;
    result.decided = overload ? Admission::Test::kOverload : Admission::Test::kExact;
    result.interval = Duration{time};
    result.demand = Duration{demand + blocked};
    result.binding = order[at].task;
    if (blocked > 0) result.blocking = order[blocker].task;
    return result;
  }
  result.admitted = !overload;
  result.decided = overload ? Admission::Test::kOverload : Admission::Test::kExact;
  return result;
}

std::optional<double> HighestRate(std::span<const Task> tasks, std::size_t which,
                                  bool deadline_follows) {
  std::vector<Task> changed(tasks.begin(), tasks.end());
  const Task before = changed[which];
  if (before.period == Duration{}) return std::nullopt;
  const auto fits = [&](double slower) {
    const auto longer = [slower](Duration d) {
      return Duration{static_cast<Ns>(std::ceil(static_cast<double>(d.count()) * slower))};
    };
    changed[which].period = longer(before.period);
    if (deadline_follows) {
      changed[which].deadline = before.deadline + changed[which].period - before.period;
    }
    return Admit(changed).admitted;
  };
  const double own = 1e9 / static_cast<double>(before.period.count());
  if (fits(1)) return own;
  constexpr double kSlowest = 1024;
  double too_fast = 1;
  double slow = 1;
  do {
    too_fast = slow;
    slow *= 2;
    if (slow > kSlowest) return std::nullopt;
  } while (!fits(slow));
  while (slow / too_fast > 1.01) {
    const double middle = std::sqrt(slow * too_fast);
    (fits(middle) ? slow : too_fast) = middle;
  }
  return own / slow;
}

}  // namespace stagger::admission
