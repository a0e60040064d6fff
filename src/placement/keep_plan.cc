#include "placement/keep_plan.h"

#include <algorithm>
#include <utility>

#include "placement/board.h"

namespace stagger::placement {

bool AnyLoads(const PlacementProblem& problem) {
  return std::ranges::any_of(problem.streams,
                             [](const StreamNeed& need) { return need.load > Duration{}; });
}

std::vector<MovedStream> MovesTo(const Plan& now, const Plan& before) {
  std::vector<MovedStream> moved;
  for (std::uint32_t i = 0; i < now.streams.size(); ++i) {
    PlacedOn from = before.streams[i];
    PlacedOn to = now.streams[i];
    std::ranges::sort(from);
    std::ranges::sort(to);
    if (from != to) moved.push_back({i, before.streams[i], now.streams[i]});
  }
  return moved;
}

MadePlan SwapWhereBetter(const PlacementProblem& problem,
                         const std::function<MadePlan(bool swapping)>& make,
                         const std::function<std::size_t(const MadePlan&)>& cost) {
  MadePlan made = make(false);
  if (!AnyLoads(problem)) return made;
  MadePlan swapping = make(true);
  const std::size_t placed = StreamsPlaced(made.plan);
  const std::size_t more = StreamsPlaced(swapping.plan);
  const std::uint32_t least = std::min(made.least_devices, swapping.least_devices);
  if (more > placed || (more == placed && cost(swapping) < cost(made))) made = std::move(swapping);
  made.least_devices = least;
  return made;
}

MadePlan KeepPlan(const PlacementProblem& problem, const Plan& current) {
  const auto make = [&](bool swapping) {
    MadePlan made;
    made.method = PlanMethod::kKept;
    Board board(problem, swapping);
    for (std::uint32_t i = 0; i < current.streams.size(); ++i) {
      if (!current.streams[i].empty()) board.Put(i, current.streams[i]);
    }
    board.PlaceTheRest();
    made.plan = board.plan();
    made.moved = MovesTo(made.plan, current);
    return made;
  };
  return SwapWhereBetter(problem, make, [](const MadePlan& made) { return made.moved.size(); });
}

}  // namespace stagger::placement
