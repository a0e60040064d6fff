// Figures of legs as claims are made of: per repeat, alone or as a ratio of two legs. Pure.
#pragma once

#include <optional>
#include <span>
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
std::optional<double> MeanOf(const std::optional<Distribution>& times);

// A figure of a leg or, with `under`, its ratio to the same figure of another leg in each repeat.
struct LegClaim {
  const char* name;
  const char* leg;
  const char* under = nullptr;
  Figure figure = nullptr;
  Bound bound = Bound::kAtMost;
  double limit = 0;
};
// Claims whose legs were not run are left out.
std::vector<Claim> JudgeLegs(std::span<const LegClaim> claims, const LegRuns& runs,
                             const std::string& doubt = "");

// Why no claim can be believed; empty if nothing speaks against them. `alone`: a leg of one app
// that does the same work in each repeat.
std::string MachineDoubt(const LegRuns& runs, const std::string& alone);

// What `stagger bench cpu` and `bench t4` claim of their legs.
std::vector<Claim> CpuClaims(const LegRuns& runs);
std::vector<Claim> T4Claims(const LegRuns& runs);

}  // namespace stagger::cli
