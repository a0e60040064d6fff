#include "lab/bench/cpu/cpu_claims.h"

#include <optional>

#include "lab/bench/leg_claims.h"

namespace stagger::cli {
namespace {

std::optional<double> TightP99(const LegRun& run) {
  return run.tight ? P99(*run.tight) : std::nullopt;
}

struct RatioClaim {
  const char* name;
  const char* over;
  const char* under;
  Figure figure;
  Bound bound;
  double limit;
};

constexpr RatioClaim kRatioClaims[] = {
    {"saturated fps, controlled / uncontrolled", "saturated-controlled", "saturated-uncontrolled",
     Fps, Bound::kAtLeast, 1.6},
    {"saturated fps, controlled / tuned", "saturated-controlled", "saturated-tuned", Fps,
     Bound::kAtLeast, 0.97},
    {"paced mean inference, controlled / tuned", "paced-controlled", "paced-tuned", MeanInference,
     Bound::kAtMost, 0.95},
    {"paced p99 inference, controlled / tuned", "paced-controlled", "paced-tuned", P99Inference,
     Bound::kAtMost, 1.1},
    {"alone mean inference, controlled / bare", "alone-controlled", "alone-bare", MeanInference,
     Bound::kAtMost, 1.25},
    {"saturated fps, edf / controlled (fifo)", "saturated-edf", "saturated-controlled", Fps,
     Bound::kAtLeast, 0.97},
    {"mixed p99 inference of the tight camera, edf / fifo", "mixed-edf", "mixed-fifo", TightP99,
     Bound::kAtMost, 0.9},
    {"paced fps, edf / controlled (fifo)", "paced-edf", "paced-controlled", Fps, Bound::kAtLeast,
     0.97},
};

}  // namespace

std::vector<Claim> CpuClaims(const LegRuns& runs) {
  const std::string doubt = MachineDoubt(runs, "alone-bare");
  std::vector<Claim> claims;
  for (const RatioClaim& claim : kRatioClaims) {
    const auto* over = RunsOf(runs, claim.over);
    const auto* under = RunsOf(runs, claim.under);
    if (over == nullptr || under == nullptr) continue;
    claims.push_back(
        Judge(claim.name, Ratios(*over, *under, claim.figure), claim.bound, claim.limit, doubt));
  }
  const auto* controlled = RunsOf(runs, "paced-controlled");
  const auto* uncontrolled = RunsOf(runs, "paced-uncontrolled");
  const auto* cooperative = RunsOf(runs, "paced-cooperative");
  if (controlled != nullptr && uncontrolled != nullptr) {
    claims.push_back(Judge("paced drop ratio, controlled", Values(*controlled, DropRatio),
                           Bound::kAtMost, 0.01, doubt));
    claims.push_back(Judge("paced drop ratio, uncontrolled", Values(*uncontrolled, DropRatio),
                           Bound::kAtLeast, 0.2, doubt));
  }
  if (const auto* edf = RunsOf(runs, "paced-edf")) {
    claims.push_back(
        Judge("paced drop ratio, edf", Values(*edf, DropRatio), Bound::kAtMost, 0.01, doubt));
  }
  if (controlled != nullptr && cooperative != nullptr) {
    // Turns earn their keep in the mean or in the tail: the better of the two counts.
    Claim mean = Judge("paced mean inference, controlled / cooperative",
                       Ratios(*controlled, *cooperative, MeanInference), Bound::kAtMost, 1, doubt);
    Claim p99 = Judge("paced p99 inference, controlled / cooperative",
                      Ratios(*controlled, *cooperative, P99Inference), Bound::kAtMost, 1, doubt);
    claims.push_back(p99.spread.median < mean.spread.median ? p99 : mean);
  }
  return claims;
}

}  // namespace stagger::cli
