#include "lab/bench/hooks/hooks_claims.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "lab/bench/leg_claims.h"

namespace stagger::cli {
namespace {

constexpr double kUngatedNs = 50;
constexpr double kBodyLaunchNs = 150;
constexpr double kNotHookedNs = 1;
constexpr LegClaim kWholeApp[] = {{"alone-60 mean inference, controlled / bare", kAloneControlled,
                                   kAloneBare, MeanInference, Bound::kAtMost, 1.005}};

}  // namespace

std::vector<Claim> HooksClaims(const std::vector<CallRun>& calls, const LegRuns& legs) {
  std::vector<Claim> claims;
  const std::size_t kinds = calls.empty() ? 0 : calls.front().calls.size();
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    std::vector<Paired> values;
    for (const CallRun& run : calls) {
      values.push_back({run.calls[kind].added_ns, run.disturbance.disturbed()});
    }
    const std::string& call = calls.front().calls[kind].call;
    const double limit = call == "launch in a body" ? kBodyLaunchNs
                         : call == "not hooked"     ? kNotHookedNs
                                                    : kUngatedNs;
    claims.push_back(Judge(fmt::format("{}, added (ns)", call), values, Bound::kAtMost, limit));
  }
  std::ranges::copy(JudgeLegs(kWholeApp, legs), std::back_inserter(claims));
  return claims;
}

}  // namespace stagger::cli
