#include "lab/bench/leg_claims.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace stagger::cli {
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

}  // namespace

std::optional<double> Fps(const LegRun& run) { return run.leg.fps; }
std::optional<double> DropRatio(const LegRun& run) { return run.leg.drop_ratio; }
std::optional<double> MeanInference(const LegRun& run) {
  return run.leg.inference_ms ? std::optional(run.leg.inference_ms->mean) : std::nullopt;
}
std::optional<double> P99(const Leg& leg) {
  return leg.inference_ms ? std::optional(leg.inference_ms->p99) : std::nullopt;
}
std::optional<double> P99Inference(const LegRun& run) { return P99(run.leg); }

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

}  // namespace stagger::cli
