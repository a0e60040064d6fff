// p95 of each stream's latency under a plan, simulated by a program of its own (stagger-lab), since
// the command line links no simulator. Main thread; waits for that program.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "placement/model.h"

namespace stagger::cli {

// In ms, by stream: 30 s with random phases, under edf. Empty where the plan has more than 300 000
// frames in that time, or stagger-lab is not installed or fails.
std::map<std::string, double> SimulatedLatency(const placement::PlacementProblem& problem,
                                               const placement::Plan& plan);

// What stagger-lab reads on stdin: the streams that have a place, and the devices.
struct PlacedSite {
  placement::PlacementProblem problem;
  placement::Plan plan;
};
nlohmann::json ToJson(const PlacedSite& site);
// Error: not what ToJson writes.
Result<PlacedSite> PlacedSiteFrom(const nlohmann::json& json);

}  // namespace stagger::cli
