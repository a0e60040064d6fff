// Makes plans from nothing: the greedy rule, or column generation for fleets. Pure.
#pragma once

#include "placement/keep_plan.h"
#include "planner/columns.h"

namespace stagger::planner {

// As few devices as the search finds; among equals those with less speed and memory. Without a
// solver, by the greedy rule alone. Streams that fit nowhere are left without a place.
placement::MadePlan MakePlan(const placement::PlacementProblem& problem,
                             const NewLinearProgram& new_program = {},
                             const PatternBudget& budget = {});

}  // namespace stagger::planner
