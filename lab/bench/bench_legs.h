// What benches that measure legs have in common: every leg once per repeat, medians over the
// repeats, one table and one JSON object.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "console/table.h"
#include "lab/bench/claims.h"
#include "lab/legs/leg_run.h"
#include "launch/workplace.h"

namespace stagger::cli {

struct BenchLeg {
  std::string name;
  std::function<Result<LegRun>(int repeat, const LegTools& tools)> run;
};

// Interleaved, each repeat starting with another leg, so that no leg always follows the same
// neighbour or profits from an early, quiet machine. Says on stderr how each leg went.
Result<LegRuns> MeasureInterleaved(const std::vector<BenchLeg>& legs, int repeats,
                                   Workplace& place);

// Over the repeats; a tight camera's leg follows the leg it is part of.
std::vector<Leg> MedianLegs(const std::vector<std::string>& names, const LegRuns& runs);

// "12.3", "-" for what there is none of.
std::string Number(const std::optional<double>& value, double factor, int digits);
// The columns that all benches show; `more` are appended per leg.
Table LegTable(const std::vector<Leg>& legs, const std::vector<std::string>& more_headers = {},
               const std::vector<std::vector<std::string>>& more = {});

// {"bench","legs","device",settings...,"disturbed","claims"}
nlohmann::ordered_json BenchJson(const std::string& bench, nlohmann::ordered_json legs,
                                 nlohmann::ordered_json device,
                                 const nlohmann::ordered_json& settings, const std::string& doubt,
                                 const std::vector<Claim>& claims);

}  // namespace stagger::cli
