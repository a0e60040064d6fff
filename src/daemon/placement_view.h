// What the planner is shown of a placement. For placement.cc and placement_relief.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "core/placement/model.h"
#include "daemon/placement.h"

namespace stagger::daemon {

struct Placement::View {
  core::PlacementProblem problem;
  core::Plan current;
  std::vector<std::uint32_t> devices;  // of the problem, as indices into devices_
  std::vector<std::uint32_t> streams;  // likewise
};

}  // namespace stagger::daemon
