// Keeps to the plan in force as far as the admission test allows; and what any planner returns.
// Pure.
#pragma once

#include <functional>

#include "placement/board.h"

namespace stagger::placement {

enum class PlanMethod : std::uint8_t {
  kGreedy,
  kPatterns,  // column generation over all classes
  kChunks,    // the same over samples of the streams, since there are too many classes
  kKept       // the plan in force, changed as little as can be
};

struct MadePlan {
  Plan plan;
  PlanMethod method = PlanMethod::kGreedy;
  // No plan of all streams uses fewer devices; 0: not known.
  std::uint32_t least_devices = 0;
  std::vector<MovedStream> moved;  // against the plan in force
};

// Keeps to `current` (the same streams in the same order; an empty place: a new one) as far as the
// test allows, and moves few.
MadePlan KeepPlan(const PlacementProblem& problem, const Plan& current);

// Which streams are elsewhere in `now` than in `before`.
std::vector<MovedStream> MovesTo(const Plan& now, const Plan& before);

// What `make` makes of a problem where devices may swap models or not: loads cost time, so they do
// only where that places more streams, or as many at less `cost`.
MadePlan SwapWhereBetter(const PlacementProblem& problem,
                         const std::function<MadePlan(bool swapping)>& make,
                         const std::function<std::size_t(const MadePlan&)>& cost);

// Whether any stream states how long its model takes to load, so that devices may swap models.
bool AnyLoads(const PlacementProblem& problem);

}  // namespace stagger::placement
