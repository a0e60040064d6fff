#include "lab/bench/cpu/cpu_claims.h"

#include <algorithm>
#include <optional>

#include "lab/bench/leg_claims.h"

namespace stagger::cli {
namespace {

std::optional<double> TightP99(const LegRun& run) {
  return run.tight ? P99(*run.tight) : std::nullopt;
}

constexpr LegClaim kClaims[] = {
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
    {"paced drop ratio, controlled", "paced-controlled", nullptr, DropRatio, Bound::kAtMost, 0.01},
    {"paced drop ratio, uncontrolled", "paced-uncontrolled", nullptr, DropRatio, Bound::kAtLeast,
     0.2},
    {"paced drop ratio, edf", "paced-edf", nullptr, DropRatio, Bound::kAtMost, 0.01},
};
// Turns earn their keep in the mean or in the tail: the better of the two counts.
constexpr LegClaim kEither[] = {
    {"paced mean inference, controlled / cooperative", "paced-controlled", "paced-cooperative",
     MeanInference, Bound::kAtMost, 1},
    {"paced p99 inference, controlled / cooperative", "paced-controlled", "paced-cooperative",
     P99Inference, Bound::kAtMost, 1},
};

}  // namespace

std::vector<Claim> CpuClaims(const LegRuns& runs) {
  const std::string doubt = MachineDoubt(runs, "alone-bare");
  std::vector<Claim> claims = JudgeLegs(kClaims, runs, doubt);
  std::vector<Claim> either = JudgeLegs(kEither, runs, doubt);
  if (!either.empty()) {
    claims.push_back(*std::ranges::min_element(
        either, {}, [](const Claim& claim) { return claim.spread.median; }));
  }
  return claims;
}

}  // namespace stagger::cli
