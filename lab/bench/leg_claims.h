// Figures of legs as claims are made of: per repeat, alone or as a ratio of two legs. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/bench/claims.h"
#include "lab/legs/leg_run.h"

namespace stagger::cli {

using Figure = std::optional<double> (*)(const LegRun&);

std::optional<double> Fps(const LegRun& run);
std::optional<double> DropRatio(const LegRun& run);
std::optional<double> MeanInference(const LegRun& run);  // ms
std::optional<double> P99Inference(const LegRun& run);   // ms
std::optional<double> P99(const Leg& leg);               // of inferences, ms

// Null when the leg was not run.
const std::vector<LegRun>* RunsOf(const LegRuns& runs, const std::string& name);

std::vector<Paired> Values(const std::vector<LegRun>& legs, Figure figure);
// Within each repeat.
std::vector<Paired> Ratios(const std::vector<LegRun>& over, const std::vector<LegRun>& under,
                           Figure figure);

// Why no claim can be believed; empty if nothing speaks against them. `alone`: a leg of one app
// that does the same work in each repeat.
std::string MachineDoubt(const LegRuns& runs, const std::string& alone);

}  // namespace stagger::cli
