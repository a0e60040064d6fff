// A plan as a scenario: every part of a stream is an app of its own on its device, with the plan's
// figures, under edf, one body at a time. Pure.
#pragma once

#include "lab/sim/scenario.h"
#include "placement/model.h"

namespace stagger::sim {

// Phases are left to chance; deadlines count from a frame's arrival. Streams without a place are
// left out, and so are devices that serve nothing. The first two periods are not counted: what
// follows a body, and with it when the body is due, the engine learns from a stream's first
// inference. The groups are the streams, by name.
Scenario ScenarioOf(const placement::PlacementProblem& problem, const placement::Plan& plan,
                    Duration length);

}  // namespace stagger::sim
