#include "lab/bench/hooks/hooks_claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace stagger::cli {
namespace {

GpuLegRun Alone(double mean_ms, double own_gap_us) {
  GpuLegRun run;
  run.leg.inference_ms = Distribution{mean_ms, mean_ms, mean_ms, mean_ms, mean_ms};
  run.own_gaps_us = {own_gap_us};
  run.agent_share = 0.004;
  return run;
}

HooksRepeat Good() {
  HooksRepeat repeat;
  repeat.calls.calls = {
      {"launch in a body", 3, 140}, {"event query", 3, 40}, {"not hooked", 3, 0.2}};
  repeat.legs[kAloneBare] = Alone(40, 60);
  repeat.legs["alone-60-controlled"] = Alone(40.1, 0);
  repeat.legs["alone-2000-bare"] = Alone(20, 60);
  repeat.legs["alone-2000-controlled"] = Alone(20.05, 0);
  GpuLegRun& hand_over = repeat.legs[kHandOver];
  hand_over.releases_us = {90};
  hand_over.gaps_us = {140, 150, 160};
  hand_over.bodies_us = {9850};
  hand_over.ping_pong_us = {20};
  repeat.legs[kByHand].releases_us = {50};
  return repeat;
}

const Claim& Named(const std::vector<Claim>& claims, const std::string& part) {
  return *std::ranges::find_if(
      claims, [&](const Claim& claim) { return claim.name.find(part) != std::string::npos; });
}

TEST(HooksClaims, WhatIsWithinItsLimitsPasses) {
  for (const Claim& claim : HooksClaims({Good(), Good()})) {
    EXPECT_EQ(claim.verdict, Verdict::kPass) << claim.name;
  }
}

TEST(HooksClaims, EachLimitCanFail) {
  const auto verdict = [](const char* name, void (*spoil)(HooksRepeat&)) {
    HooksRepeat repeat = Good();
    spoil(repeat);
    return Named(HooksClaims({repeat}), name).verdict;
  };
  EXPECT_EQ(verdict("in a body", [](HooksRepeat& r) { r.calls.calls[0].added_ns = 151; }),
            Verdict::kFail);
  EXPECT_EQ(verdict("query", [](HooksRepeat& r) { r.calls.calls[1].added_ns = 51; }),
            Verdict::kFail);
  EXPECT_EQ(verdict("not hooked", [](HooksRepeat& r) { r.calls.calls[2].added_ns = 2; }),
            Verdict::kFail);
  EXPECT_EQ(verdict("alone-60 mean",
                    [](HooksRepeat& r) { r.legs["alone-60-controlled"] = Alone(40.3, 0); }),
            Verdict::kFail);
  EXPECT_EQ(verdict("alone-2000 agent's",
                    [](HooksRepeat& r) { r.legs["alone-2000-controlled"].agent_share = 0.02; }),
            Verdict::kFail);
  EXPECT_EQ(verdict("release", [](HooksRepeat& r) { r.legs[kHandOver].releases_us = {110}; }),
            Verdict::kFail);
}

TEST(HooksClaims, DisturbedRepeatsDoNotCount) {
  HooksRepeat disturbed = Good();
  disturbed.calls.disturbance.foreign_ratio = 0.3;
  disturbed.legs["alone-60-controlled"].disturbance.foreign_ratio = 0.3;
  const auto claims = HooksClaims({disturbed, disturbed, Good()});
  EXPECT_EQ(Named(claims, "event query").verdict, Verdict::kInconclusive);
  EXPECT_EQ(Named(claims, "alone-60 mean").verdict, Verdict::kInconclusive);
  EXPECT_EQ(Named(claims, "alone-2000 mean").verdict, Verdict::kPass);
}

TEST(HooksClaims, TheGapIsSharedOut) {
  HooksRepeat repeat = Good();
  const auto figures = FiguresOf(repeat.legs[kHandOver], repeat.legs[kAloneBare]);
  ASSERT_TRUE(figures);
  EXPECT_DOUBLE_EQ(figures->gap, 150);
  EXPECT_DOUBLE_EQ(figures->rest, 90);
  EXPECT_DOUBLE_EQ(figures->idle, 0.015);
  EXPECT_DOUBLE_EQ(figures->release, 90);
}

TEST(HooksClaims, WhereNothingWasHandedOverThereIsNoFigure) {
  HooksRepeat repeat = Good();
  repeat.legs[kHandOver].gaps_us.clear();
  repeat.legs[kHandOver].releases_us.clear();
  EXPECT_FALSE(FiguresOf(repeat.legs[kHandOver], repeat.legs[kAloneBare]));
  EXPECT_EQ(Named(HooksClaims({repeat}), "release").verdict, Verdict::kInconclusive);
}

}  // namespace
}  // namespace stagger::cli
