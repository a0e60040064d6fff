#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "lab/bench/hooks/hooks_calls.h"

namespace stagger::cli {
namespace {

struct Runs {
  std::vector<CallRun> calls;
  LegRuns legs;
};

// One repeat, all within its limits.
Runs Good() {
  const auto alone = [](double mean_ms) {
    LegRun run;
    run.leg.inference_ms = Distribution{mean_ms, mean_ms, mean_ms, mean_ms, mean_ms};
    return run;
  };
  CallRun calls;
  calls.calls = {{"launch in a body", 3, 140}, {"event query", 3, 40}, {"not hooked", 3, 0.2}};
  Runs runs;
  runs.calls = {calls};
  runs.legs[kAloneBare] = {alone(40)};
  runs.legs[kAloneControlled] = {alone(40.1)};
  return runs;
}

Claim Named(const Runs& runs, const std::string& part) {
  const std::vector<Claim> claims = HooksClaims(runs.calls, runs.legs);
  return *std::ranges::find_if(
      claims, [&](const Claim& claim) { return claim.name.find(part) != std::string::npos; });
}

TEST(HooksClaims, WhatIsWithinItsLimitsPasses) {
  const Runs good = Good();
  const std::vector<Claim> claims = HooksClaims(good.calls, good.legs);
  EXPECT_EQ(claims.size(), 4u);
  for (const Claim& claim : claims) EXPECT_EQ(claim.verdict, Verdict::kPass) << claim.name;
}

TEST(HooksClaims, EachLimitCanFail) {
  const auto verdict = [](const char* name, void (*spoil)(Runs&)) {
    Runs runs = Good();
    spoil(runs);
    return Named(runs, name).verdict;
  };
  EXPECT_EQ(verdict("in a body", [](Runs& r) { r.calls[0].calls[0].added_ns = 151; }),
            Verdict::kFail);
  EXPECT_EQ(verdict("query", [](Runs& r) { r.calls[0].calls[1].added_ns = 51; }), Verdict::kFail);
  EXPECT_EQ(verdict("not hooked", [](Runs& r) { r.calls[0].calls[2].added_ns = 2; }),
            Verdict::kFail);
  EXPECT_EQ(verdict("alone-60 mean",
                    [](Runs& r) { r.legs[kAloneControlled][0].leg.inference_ms->mean = 40.3; }),
            Verdict::kFail);
}

TEST(HooksClaims, DisturbedRepeatsDoNotCount) {
  Runs runs = Good();
  runs.calls[0].disturbance.foreign_ratio = 0.3;
  EXPECT_EQ(Named(runs, "event query").verdict, Verdict::kInconclusive);
  EXPECT_EQ(Named(runs, "alone-60 mean").verdict, Verdict::kPass);
  runs.legs[kAloneControlled][0].disturbance.foreign_ratio = 0.3;
  EXPECT_EQ(Named(runs, "alone-60 mean").verdict, Verdict::kInconclusive);
}

}  // namespace
}  // namespace stagger::cli
