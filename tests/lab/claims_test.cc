#include "lab/bench/claims.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lab/bench/leg_claims.h"

namespace stagger::cli {
namespace {

TEST(Claims, TheMedianDecides) {
  EXPECT_EQ(Judge("x", {{1.7}, {1.0}, {1.8}}, Bound::kAtLeast, 1.6).verdict, Verdict::kPass);
  EXPECT_EQ(Judge("x", {{1.5}, {1.0}, {1.8}}, Bound::kAtLeast, 1.6).verdict, Verdict::kFail);
  EXPECT_EQ(Judge("x", {{0.01}}, Bound::kAtMost, 0.01).verdict, Verdict::kPass);
}

TEST(Claims, DisturbedRepeatsDoNotCount) {
  const Claim claim = Judge("x", {{2, false}, {9, true}, {2.2, false}}, Bound::kAtMost, 2.5);
  EXPECT_EQ(claim.verdict, Verdict::kPass);
  EXPECT_EQ(claim.pairs, 2);
  EXPECT_EQ(claim.spread.max, 2.2);
}

TEST(Claims, TooFewCleanRepeatsSayNothing) {
  const Claim claim = Judge("x", {{2, true}, {9, true}, {2.2, false}}, Bound::kAtMost, 2.5);
  EXPECT_EQ(claim.verdict, Verdict::kInconclusive);
  EXPECT_EQ(claim.note, "the machine was disturbed in 2 of 3 repeats");
  EXPECT_EQ(claim.spread.median, 2.2) << "what was measured is shown all the same";
}

TEST(Claims, ADoubtMakesAnythingInconclusive) {
  const Claim claim = Judge("x", {{1}}, Bound::kAtMost, 2, "the machine is drunk");
  EXPECT_EQ(claim.verdict, Verdict::kInconclusive);
  EXPECT_EQ(claim.note, "the machine is drunk");
}

TEST(Claims, NothingMeasured) {
  EXPECT_EQ(Judge("x", {}, Bound::kAtMost, 2).verdict, Verdict::kInconclusive);
  EXPECT_EQ(Judge("x", {{NAN}}, Bound::kAtMost, 2).verdict, Verdict::kInconclusive);
}

TEST(Claims, OnlyAFailureFailsTheBench) {
  const Claim pass = Judge("x", {{1}}, Bound::kAtMost, 2);
  const Claim fail = Judge("x", {{3}}, Bound::kAtMost, 2);
  const Claim unsure = Judge("x", {}, Bound::kAtMost, 2);
  EXPECT_EQ(ExitCode({pass, unsure}), 0);
  EXPECT_EQ(ExitCode({pass, fail}), 1);
}

TEST(Claims, Json) {
  const nlohmann::ordered_json json = ToJson(Judge("x", {{1}, {3}}, Bound::kAtMost, 2));
  EXPECT_EQ(json["name"], "x");
  EXPECT_EQ(json["value"], 2);
  EXPECT_EQ(json["spread"], nlohmann::ordered_json::parse("[1.0, 3.0]"));
  EXPECT_EQ(json["limit"], 2);
  EXPECT_EQ(json["verdict"], "pass");
}

LegRun Figures(double fps, double mean, double p99, double drops) {
  LegRun run;
  run.leg.fps = fps;
  run.leg.drop_ratio = drops;
  run.leg.inference_ms = Distribution{1, mean, mean, p99, p99};
  return run;
}

const Claim* Find(const std::vector<Claim>& claims, const std::string& name) {
  for (const Claim& claim : claims) {
    if (claim.name == name) return &claim;
  }
  return nullptr;
}

TEST(CpuClaims, RatiosAreTakenWithinARepeat) {
  LegRuns runs;
  // The machine is twice as fast in the second repeat: ratios of medians would say 1.5.
  runs["saturated-controlled"] = {Figures(20, 1, 1, 0), Figures(40, 1, 1, 0)};
  runs["saturated-uncontrolled"] = {Figures(10, 1, 1, 0), Figures(20, 1, 1, 0)};
  const auto claims = CpuClaims(runs);
  const Claim* claim = Find(claims, "saturated fps, controlled / uncontrolled");
  ASSERT_NE(claim, nullptr);
  EXPECT_EQ(claim->spread.min, 2);
  EXPECT_EQ(claim->spread.max, 2);
  EXPECT_EQ(claims.size(), 1u) << "claims without their legs are left out";
}

TEST(CpuClaims, TurnsMayEarnTheirKeepInTheTail) {
  LegRuns runs;
  runs["paced-controlled"] = {Figures(60, 50, 80, 0)};
  runs["paced-cooperative"] = {Figures(60, 49, 100, 0)};
  const auto claims = CpuClaims(runs);
  const Claim* tail = Find(claims, "paced p99 inference, controlled / cooperative");
  ASSERT_NE(tail, nullptr);
  EXPECT_EQ(tail->verdict, Verdict::kPass);
  EXPECT_EQ(Find(claims, "paced mean inference, controlled / cooperative"), nullptr);
}

TEST(CpuClaims, AnUnsteadyMachineMakesAllInconclusive) {
  LegRuns runs;
  runs["alone-bare"] = {Figures(50, 10, 12, 0), Figures(50, 12, 14, 0)};
  runs["alone-controlled"] = {Figures(50, 10, 12, 0), Figures(50, 12, 14, 0)};
  const auto claims = CpuClaims(runs);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].verdict, Verdict::kInconclusive);
  EXPECT_EQ(claims[0].note, "one app alone varied by 18 % between repeats");
}

}  // namespace
}  // namespace stagger::cli
