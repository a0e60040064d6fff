#include "cli/cpu_claims.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace stagger::cli {
namespace {

// One app alone does the same work in each repeat: what it varies by, the machine varies by.
constexpr double kSteady = 0.15;

using Figure = std::optional<double> (*)(const LegRun&);

std::optional<double> Fps(const LegRun& run) { return run.leg.fps; }
std::optional<double> DropRatio(const LegRun& run) { return run.leg.drop_ratio; }
std::optional<double> MeanInference(const LegRun& run) {
  return run.leg.inference_ms ? std::optional(run.leg.inference_ms->mean) : std::nullopt;
}
std::optional<double> P99(const Leg& leg) {
  return leg.inference_ms ? std::optional(leg.inference_ms->p99) : std::nullopt;
}
std::optional<double> P99Inference(const LegRun& run) { return P99(run.leg); }
std::optional<double> TightP99(const LegRun& run) {
  return run.tight ? P99(*run.tight) : std::nullopt;
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const std::vector<LegRun>* RunsOf(const LegRuns& runs, const std::string& name) {
  const auto found = runs.find(name);
  return found == runs.end() || found->second.empty() ? nullptr : &found->second;
}

std::vector<Paired> Values(const std::vector<LegRun>& legs, Figure figure) {
  std::vector<Paired> values;
  values.reserve(legs.size());
  for (const LegRun& run : legs) {
    values.push_back({figure(run).value_or(kNone), run.disturbance.disturbed()});
  }
  return values;
}

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

std::string MachineDoubt(const LegRuns& runs) {
  const std::vector<LegRun>* alone = RunsOf(runs, "alone-bare");
  if (alone == nullptr) return "";
  std::vector<double> means;
  for (const Paired& value : Values(*alone, MeanInference)) {
    if (!value.disturbed && std::isfinite(value.value)) means.push_back(value.value);
  }
  const std::optional<Spread> spread = SpreadOf(means);
  if (!spread || spread->median <= 0) return "";
  const double variation = (spread->max - spread->min) / spread->median;
  if (variation <= kSteady) return "";
  return fmt::format("one app alone varied by {:.0f} % between repeats", variation * 100);
}

std::vector<Claim> CpuClaims(const LegRuns& runs) {
  const std::string doubt = MachineDoubt(runs);
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
