// Makes plans: from nothing, or from the one in force. Pure.
#pragma once

#include <optional>

#include "core/placement/board.h"
#include "core/placement/columns.h"

namespace stagger::core {

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

// As few devices as it finds; among equals those with less speed and memory. Without a solver, by
// the greedy rule alone. Streams that fit nowhere are left without a place.
MadePlan MakePlan(const PlacementProblem& problem, const NewLinearProgram& new_program = {},
                  const PatternBudget& budget = {});

// Keeps to `current` (the same streams in the same order; an empty place: a new one) as far as the
// test allows, and moves few.
MadePlan KeepPlan(const PlacementProblem& problem, const Plan& current);

}  // namespace stagger::core
