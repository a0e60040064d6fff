// What the planner is shown of a placement. For placement.cc and placement_relief.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "placement/in_force.h"
#include "placement/model.h"

namespace stagger::placement {

struct PlanInForce::View {
  placement::PlacementProblem problem;
  placement::Plan current;
  std::vector<std::uint32_t> devices;  // of the problem, as indices into devices_
  std::vector<std::uint32_t> streams;  // likewise
};

}  // namespace stagger::placement
