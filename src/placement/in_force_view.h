// The part of a plan in force that planning sees. For in_force.cc, in_force_relief.cc and
// in_force_standby.cc.
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
