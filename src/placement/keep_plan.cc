#include "placement/keep_plan.h"

#include <algorithm>
#include <utility>

#include "placement/board.h"

namespace stagger::placement {
namespace {

MadePlan KeepOne(const PlacementProblem& problem, const Plan& current, bool swapping) {
  MadePlan made;
  made.method = PlanMethod::kKept;
  Board board(problem.devices, swapping);
  for (const StreamNeed& need : problem.streams) board.Add(need);
  for (std::uint32_t i = 0; i < current.streams.size(); ++i) {
    if (!current.streams[i].empty()) board.Put(i, current.streams[i]);
  }
  board.PlaceTheRest();
  made.plan = board.plan();
  for (std::uint32_t i = 0; i < current.streams.size(); ++i) {
    PlacedOn before = current.streams[i];
    PlacedOn now = made.plan.streams[i];
    std::ranges::sort(before);
    std::ranges::sort(now);
    if (before != now) made.moved.push_back({i, current.streams[i], made.plan.streams[i]});
  }
  return made;
}

}  // namespace

bool AnyLoads(const PlacementProblem& problem) {
  return std::ranges::any_of(problem.streams,
                             [](const StreamNeed& need) { return need.load > Duration{}; });
}

MadePlan KeepPlan(const PlacementProblem& problem, const Plan& current) {
  MadePlan made = KeepOne(problem, current, false);
  if (!AnyLoads(problem)) return made;
  const auto result = [](const MadePlan& plan) {
    return std::pair(StreamsPlaced(plan.plan), -static_cast<long>(plan.moved.size()));
  };
  // Likewise for streams that have no place without loads, and for a plan in force that swaps.
  MadePlan swapping = KeepOne(problem, current, true);
  if (result(swapping) > result(made)) made = std::move(swapping);
  return made;
}

}  // namespace stagger::placement
