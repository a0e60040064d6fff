#include "lab/bench/leg_claims.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace stagger::cli {
std::optional<double> Fps(const LegRun& run) { return run.leg.fps; }
std::optional<double> DropRatio(const LegRun& run) { return run.leg.drop_ratio; }
std::optional<double> MeanOf(const std::optional<Distribution>& times) {
  return times ? std::optional(times->mean) : std::nullopt;
}
std::optional<double> MeanInference(const LegRun& run) { return MeanOf(run.leg.inference_ms); }
std::optional<double> P99(const Leg& leg) {
  return leg.inference_ms ? std::optional(leg.inference_ms->p99) : std::nullopt;
}
std::optional<double> P99Inference(const LegRun& run) { return P99(run.leg); }

namespace {

// One app alone does the same work in each repeat: what it varies by, the machine varies by.
constexpr double kSteady = 0.15;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Null when the leg was not run.
const std::vector<LegRun>* RunsOf(const LegRuns& runs, const std::string& name) {
  const auto found = runs.find(name);
  return found == runs.end() || found->second.empty() ? nullptr : &found->second;
}

std::vector<Paired> Values(const std::vector<LegRun>& legs, Figure figure) {
  std::vector<Paired> values;
  values.reserve(legs.size());
  for (const LegRun& run : legs) {
    values.push_back({figure(run).value_or(kNone), run.disturbed()});
  }
  return values;
}

// Within each repeat.
std::vector<Paired> Ratios(const std::vector<LegRun>& over, const std::vector<LegRun>& under,
                           Figure figure) {
  const std::vector<Paired> a = Values(over, figure);
  const std::vector<Paired> b = Values(under, figure);
  std::vector<Paired> ratios;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double ratio = b[i].value != 0 ? a[i].value / b[i].value : kNone;
    ratios.push_back({ratio, a[i].disturbed || b[i].disturbed});
  }
  return ratios;
}

std::optional<double> TightP99(const LegRun& run) {
  return run.tight ? P99(*run.tight) : std::nullopt;
}

constexpr LegClaim kCpuClaims[] = {
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

// With all cameras at once and 60 ms between starts the fourth camera misses every other frame.
constexpr double kSpacedDrops = 0.125;
std::optional<double> OffSpacedDrops(const LegRun& run) {
  return run.leg.drop_ratio ? std::optional(std::abs(*run.leg.drop_ratio - kSpacedDrops))
                            : std::nullopt;
}

constexpr LegClaim kT4Claims[] = {
    {"sync drop ratio, controlled", "sync-controlled", nullptr, DropRatio, Bound::kAtMost, 0.005},
    // 16 frames a second arrive; of them 0.5 % may be lost.
    {"sync fps, controlled", "sync-controlled", nullptr, Fps, Bound::kAtLeast, 15.92},
    {"sync drop ratio, spaced60, off 0.125", "sync-spaced60", nullptr, OffSpacedDrops,
     Bound::kAtMost, 0.02},
    {"sync drop ratio, uncontrolled", "sync-uncontrolled", nullptr, DropRatio, Bound::kAtLeast,
     0.45},
    {"any phases drop ratio, controlled", "any-controlled", nullptr, DropRatio, Bound::kAtMost, 0},
    {"saturated fps, controlled / uncontrolled", "saturated-controlled", "saturated-uncontrolled",
     Fps, Bound::kAtLeast, 1.6},
    {"saturated fps, controlled / spaced60", "saturated-controlled", "saturated-spaced60", Fps,
     Bound::kAtLeast, 1.15},
    {"saturated fps, controlled / alone", "saturated-controlled", "alone", Fps, Bound::kAtLeast,
     1.9},
};

}  // namespace

std::string MachineDoubt(const LegRuns& runs, const std::string& alone) {
  const std::vector<LegRun>* legs = RunsOf(runs, alone);
  if (legs == nullptr) return "";
  std::vector<double> means;
  for (const Paired& value : Values(*legs, MeanInference)) {
    if (!value.disturbed && std::isfinite(value.value)) means.push_back(value.value);
  }
  const std::optional<Spread> spread = SpreadOf(means);
  if (!spread || spread->median <= 0) return "";
  const double variation = (spread->max - spread->min) / spread->median;
  if (variation <= kSteady) return "";
  return fmt::format("one app alone varied by {:.0f} % between repeats", variation * 100);
}

std::vector<Claim> JudgeLegs(std::span<const LegClaim> claims, const LegRuns& runs,
                             const std::string& doubt) {
  std::vector<Claim> judged;
  for (const LegClaim& claim : claims) {
    const std::vector<LegRun>* leg = RunsOf(runs, claim.leg);
    const std::vector<LegRun>* under = claim.under != nullptr ? RunsOf(runs, claim.under) : nullptr;
    if (leg == nullptr || (claim.under != nullptr && under == nullptr)) continue;
    judged.push_back(
        Judge(claim.name,
              under != nullptr ? Ratios(*leg, *under, claim.figure) : Values(*leg, claim.figure),
              claim.bound, claim.limit, doubt));
  }
  return judged;
}

std::vector<Claim> CpuClaims(const LegRuns& runs) {
  const std::string doubt = MachineDoubt(runs, "alone-bare");
  std::vector<Claim> claims = JudgeLegs(kCpuClaims, runs, doubt);
  std::vector<Claim> either = JudgeLegs(kEither, runs, doubt);
  if (!either.empty()) {
    claims.push_back(*std::ranges::min_element(
        either, {}, [](const Claim& claim) { return claim.spread.median; }));
  }
  return claims;
}

std::vector<Claim> T4Claims(const LegRuns& runs) {
  return JudgeLegs(kT4Claims, runs, MachineDoubt(runs, "alone"));
}

}  // namespace stagger::cli
