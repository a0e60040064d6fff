// A simulation's outcome in the form that every leg has.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lab/legs/leg.h"
#include "lab/sim/scenario.h"
#include "lab/sim/simulate.h"

namespace stagger::cli {

struct SimLeg {
  Leg leg;
  double worst_draw_drop_ratio = 0;
  double zero_drop_draws_ratio = 0;    // of the draws
  std::optional<double> fps_assigned;  // of a draw, at its end; none where a frame is always ready
};

// The first one, `all`, covers every stream; one more per stream name where there are several.
std::vector<SimLeg> SimLegs(const sim::Scenario& scenario, const sim::Outcome& outcome);

nlohmann::ordered_json ToJson(const SimLeg& leg);
std::string ToText(const std::vector<SimLeg>& legs);

}  // namespace stagger::cli
