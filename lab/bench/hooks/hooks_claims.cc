#include "lab/bench/hooks/hooks_claims.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <string_view>

namespace stagger::cli {
namespace {

constexpr double kUngatedNs = 50;
constexpr double kBodyLaunchNs = 150;
constexpr double kNotHookedNs = 1;
constexpr double kSlowdown = 1.005;
constexpr double kShare = 0.01;
constexpr double kPingPongs = 2;

double MedianOf(const std::vector<double>& values) {
  return Median(values).value_or(std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

std::optional<HandOverFigures> FiguresOf(const GpuLegRun& leg, const GpuLegRun& alone) {
  const std::optional<Distribution> gap = Describe(leg.gaps_us);
  if (!gap || leg.releases_us.empty() || leg.ping_pong_us.empty() || alone.own_gaps_us.empty())
    return std::nullopt;
  HandOverFigures figures;
  figures.release = MedianOf(leg.releases_us);
  figures.gap = gap->p50;
  figures.gap_p99 = gap->p99;
  figures.own = MedianOf(alone.own_gaps_us);
  figures.rest = figures.gap - figures.own;
  figures.ping_pong = MedianOf(leg.ping_pong_us);
  const double body = MedianOf(leg.bodies_us);
  figures.idle = figures.gap / (figures.gap + body);
  return figures;
}

std::vector<Claim> HooksClaims(const std::vector<HooksRepeat>& repeats) {
  std::vector<Claim> claims;
  const std::size_t kinds = repeats.empty() ? 0 : repeats.front().calls.calls.size();
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    std::vector<Paired> values;
    values.reserve(repeats.size());
    for (const HooksRepeat& repeat : repeats) {
      values.push_back({repeat.calls.calls[kind].added_ns, repeat.calls.disturbance.disturbed()});
    }
    const std::string& call = repeats.front().calls.calls[kind].call;
    const double limit = call == "launch in a body" ? kBodyLaunchNs
                         : call == "not hooked"     ? kNotHookedNs
                                                    : kUngatedNs;
    claims.push_back(Judge(fmt::format("{}, added (ns)", call), values, Bound::kAtMost, limit));
  }
  for (const char* app : {"alone-60", "alone-2000"}) {
    std::vector<Paired> slower;
    std::vector<Paired> shares;
    for (const HooksRepeat& repeat : repeats) {
      const auto bare = repeat.legs.find(fmt::format("{}-bare", app));
      const auto ours = repeat.legs.find(fmt::format("{}-controlled", app));
      if (bare == repeat.legs.end() || ours == repeat.legs.end()) continue;
      const bool disturbed =
          bare->second.disturbance.disturbed() || ours->second.disturbance.disturbed();
      slower.push_back(
          {ours->second.leg.inference_ms->mean / bare->second.leg.inference_ms->mean, disturbed});
      if (ours->second.agent_share) {
        shares.push_back({*ours->second.agent_share, ours->second.disturbance.disturbed()});
      }
    }
    claims.push_back(Judge(fmt::format("{} mean inference, controlled / bare", app), slower,
                           Bound::kAtMost, kSlowdown));
    claims.push_back(Judge(fmt::format("{} agent's and daemon's share of a core", app), shares,
                           Bound::kAtMost, kShare));
  }
  std::vector<Paired> ratios;
  for (const HooksRepeat& repeat : repeats) {
    const auto leg = repeat.legs.find(kHandOver);
    const auto by_hand = repeat.legs.find(kByHand);
    if (leg == repeat.legs.end() || by_hand == repeat.legs.end()) continue;
    if (leg->second.releases_us.empty() || by_hand->second.releases_us.empty()) continue;
    ratios.push_back(
        {MedianOf(leg->second.releases_us) / MedianOf(by_hand->second.releases_us),
         leg->second.disturbance.disturbed() || by_hand->second.disturbance.disturbed()});
  }
  claims.push_back(Judge("release to next body, controlled / by hand through a bare relay, p50",
                         ratios, Bound::kAtMost, kPingPongs));
  return claims;
}

}  // namespace stagger::cli
