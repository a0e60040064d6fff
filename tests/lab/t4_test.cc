// What bench t4 measures, chooses and claims.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lab/bench/bench_frame.h"
#include "lab/bench/leg_claims.h"
#include "lab/bench/t4/t4_plan.h"
#include "lab/scenario/sim_legs.h"
#include "lab/sim/simulate.h"

namespace stagger::cli {
namespace {

const vgpu::Model& T4() {
  static const vgpu::Model model = *vgpu::BuiltInModel("t4");
  return model;
}

CudaLegPlan Plan(const std::string& variant, int repeat = 0) {
  return T4Plan(variant, {}, repeat, T4());
}

Leg SimulatedLeg(const std::string& variant, int repeat = 0) {
  const sim::Scenario scenario = ScenarioOf(Plan(variant, repeat), T4());
  return SimLegs(scenario, *sim::Simulate(scenario, 1, 1)).front().leg;
}

LegRun Ran(double fps, double drops, double mean = 100) {
  LegRun run;
  run.leg.fps = fps;
  run.leg.drop_ratio = drops;
  run.leg.inference_ms = Distribution{mean, mean, mean, mean, mean};
  return run;
}

TEST(T4Plan, HasTheLegsOfThePaperAndMore) {
  EXPECT_THAT(T4LegNames(),
              testing::ElementsAre("alone", "sync-uncontrolled", "sync-spaced60", "sync-controlled",
                                   "sync-percentage", "any-uncontrolled", "any-spaced60",
                                   "any-controlled", "saturated-uncontrolled", "saturated-spaced60",
                                   "saturated-controlled", "saturated-percentage"));
}

TEST(T4Plan, PhasesAreTheSameInAllLegsOfARepeatAndOthersInTheNext) {
  const std::vector<double> phases = Plan("any-controlled").phases_ms;
  EXPECT_EQ(phases.size(), 4u);
  EXPECT_EQ(phases, Plan("any-uncontrolled").phases_ms);
  EXPECT_NE(phases, Plan("any-controlled", 1).phases_ms);
  for (const double phase : phases) {
    EXPECT_GE(phase, 0);
    EXPECT_LT(phase, 250);
  }
  EXPECT_THAT(Plan("sync-controlled").phases_ms, testing::Each(0));
  EXPECT_EQ(Plan("saturated-controlled").phases_ms.size(), 8u);
  EXPECT_EQ(Plan("alone").phases_ms.size(), 1u);
}

TEST(T4Plan, OnlyControlledLegsHaveADaemon) {
  EXPECT_EQ(Plan("sync-controlled").policy, "fifo");
  EXPECT_EQ(Plan("sync-spaced60").policy, "spaced");
  EXPECT_EQ(Plan("sync-spaced60").spacing_ms, 60);
  for (const char* bare : {"alone", "any-uncontrolled", "saturated-percentage 25"}) {
    EXPECT_EQ(Plan(bare).policy, std::nullopt) << bare;
  }
}

TEST(T4Plan, TriesTwoPercentages) {
  EXPECT_THAT(T4Variants("sync-percentage"),
              testing::ElementsAre("sync-percentage 25", "sync-percentage 50"));
  EXPECT_THAT(T4Variants("saturated-percentage"),
              testing::ElementsAre("saturated-percentage 13", "saturated-percentage 25"));
  EXPECT_THAT(T4Variants("alone"), testing::ElementsAre("alone"));
  EXPECT_EQ(Plan("sync-percentage 25").percentage, 25);
  EXPECT_EQ(Plan("sync-controlled").percentage, 0);
}

TEST(T4Plan, KeepsThePercentageThatDropsLeastThenDoesMost) {
  LegRuns runs;
  runs["x 25"] = {Ran(15, 0.1), Ran(16, 0)};
  runs["x 50"] = {Ran(14, 0.02), Ran(14, 0.02)};
  EXPECT_EQ(BestVariant({"x 25", "x 50"}, runs), "x 50") << "medians: 0.05 and 0.02";
  runs["x 50"] = {Ran(16, 0.05), Ran(16, 0.05)};
  EXPECT_EQ(BestVariant({"x 25", "x 50"}, runs), "x 50") << "the same drops, more done";
  runs["x 25"] = {Ran(16, 0.05, 90)};
  EXPECT_EQ(BestVariant({"x 25", "x 50"}, runs), "x 25") << "as good, and quicker";
}

TEST(T4Plan, AppsAreToldWhatTheSimulatorIs) {
  const CudaLegPlan plan = Plan("any-spaced60");
  const sim::Scenario scenario = ScenarioOf(plan, T4());
  ASSERT_EQ(scenario.streams.size(), 4u);
  EXPECT_EQ(scenario.policy.name, "spaced");
  EXPECT_EQ(scenario.policy.spacing, std::chrono::milliseconds{60});
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<std::string> arguments = CudaCameraArguments(plan, i);
    const auto value = [&](const char* option) {
      const auto found = std::find(arguments.begin(), arguments.end(), option);
      return found == arguments.end() ? -1 : std::stod(*(found + 1));
    };
    const sim::StreamModel& stream = scenario.streams[i];
    EXPECT_NEAR(value("--phase"), ToMs(*stream.phase), 1e-3);
    EXPECT_NEAR(value("--fps"), 1000 / ToMs(stream.period), 1e-3);
    EXPECT_NEAR(value("--body"), ToMs(stream.body), 1e-3);
    EXPECT_NEAR(value("--post"), ToMs(stream.post), 1e-3);
    EXPECT_NEAR(value("--app"), ToMs(stream.app), 1e-3);
    EXPECT_EQ(value("--pre"), ToMs(stream.pre));
    EXPECT_EQ(value("--post-cpu"), 0) << "the model's post phase is all on the device";
  }
}

TEST(T4Plan, ASmallerPartOfTheDeviceMakesBodiesLonger) {
  const sim::Scenario scenario = ScenarioOf(Plan("sync-percentage 25"), T4());
  EXPECT_EQ(scenario.policy.name, "off");
  EXPECT_DOUBLE_EQ(scenario.streams[0].demand, 0.25);
  EXPECT_NEAR(ToMs(scenario.streams[0].body), 4 * 38.31, 0.1);
}

TEST(T4Plan, TheSimulatorSaysWhatThePaperFound) {
  EXPECT_NEAR(*SimulatedLeg("sync-uncontrolled").drop_ratio, 0.5, 1e-9);
  EXPECT_NEAR(*SimulatedLeg("sync-spaced60").drop_ratio, 0.125, 0.005);
  EXPECT_EQ(SimulatedLeg("sync-controlled").drops, 0);
  EXPECT_NEAR(*SimulatedLeg("sync-controlled").fps, 16, 0.01);
  EXPECT_EQ(SimulatedLeg("any-controlled").drops, 0);
  EXPECT_NEAR(*SimulatedLeg("saturated-controlled").fps, 20.4, 0.3);
}

TEST(T4Claims, AreThoseOfTheLegsThatRan) {
  LegRuns runs;
  runs["saturated-controlled"] = {Ran(20, 0), Ran(10, 0)};
  runs["saturated-uncontrolled"] = {Ran(12, 0), Ran(6, 0)};
  runs["any-controlled"] = {Ran(16, 0)};
  const std::vector<Claim> claims = T4Claims(runs);
  ASSERT_EQ(claims.size(), 2u);
  EXPECT_EQ(claims[0].name, "any phases drop ratio, controlled");
  EXPECT_EQ(claims[0].verdict, Verdict::kPass);
  EXPECT_NEAR(claims[1].spread.min, 20.0 / 12, 1e-9) << "ratios are taken within a repeat";
  EXPECT_NEAR(claims[1].spread.max, 20.0 / 12, 1e-9);
  EXPECT_EQ(claims[1].verdict, Verdict::kPass);
}

TEST(T4Claims, SpacedDropsMayBeOffEitherWay) {
  const auto verdict = [](double drops) {
    LegRuns runs;
    runs["sync-spaced60"] = {Ran(14, drops)};
    return T4Claims(runs).front().verdict;
  };
  EXPECT_EQ(verdict(0.13), Verdict::kPass);
  EXPECT_EQ(verdict(0.09), Verdict::kFail);
  EXPECT_EQ(verdict(0.16), Verdict::kFail);
}

TEST(T4Claims, OneLostFrameInAThousandIsAllowedWithCamerasAtOnceOnly) {
  LegRuns runs;
  runs["sync-controlled"] = {Ran(15.98, 0.001)};
  runs["any-controlled"] = {Ran(15.98, 0.001)};
  const std::vector<Claim> claims = T4Claims(runs);
  ASSERT_EQ(claims.size(), 3u);
  EXPECT_EQ(claims[0].verdict, Verdict::kPass);
  EXPECT_EQ(claims[1].verdict, Verdict::kPass);
  EXPECT_EQ(claims[2].verdict, Verdict::kFail);
}

TEST(LegRun, ALateDeviceDisturbs) {
  LegRun run = Ran(16, 0);
  run.lateness = DeviceLateness{std::chrono::microseconds{300}, 0.001};
  EXPECT_FALSE(run.disturbed());
  EXPECT_EQ(run.WhyDisturbed(), "");
  run.lateness = DeviceLateness{std::chrono::milliseconds{5}, 0.1};
  EXPECT_TRUE(run.disturbed());
  EXPECT_EQ(run.WhyDisturbed(), "the device was late: p99 5.0 ms, 10.0 % above 1 ms");
  run.disturbance.foreign_ratio = 0.12;
  EXPECT_EQ(run.WhyDisturbed(),
            "others used 12 %, 0 % stolen; the device was late: p99 5.0 ms, 10.0 % above 1 ms");
  LegRuns runs;
  runs["any-controlled"] = {run};
  EXPECT_EQ(T4Claims(runs).front().verdict, Verdict::kInconclusive);
}

TEST(BenchLegs, MediansCountTheDisturbedRepeats) {
  LegRun disturbed = Ran(9, 0);
  disturbed.disturbance.foreign_ratio = 1;
  LegRuns runs;
  runs["a"] = {Ran(10, 0), disturbed, Ran(12, 0)};
  const std::vector<Leg> legs = MedianLegs({"a"}, runs);
  ASSERT_EQ(legs.size(), 1u);
  EXPECT_EQ(legs[0].fps, 10);
  EXPECT_EQ(legs[0].repeats, 3);
  EXPECT_EQ(legs[0].disturbed_repeats, 1);
  EXPECT_EQ(legs[0].fps_spread->max, 12);
}

TEST(BenchLegs, JsonHasWhatEveryBenchHas) {
  const nlohmann::ordered_json json =
      BenchJson("x", nlohmann::ordered_json::array(), {{"name", "gpu:0"}}, {{"seconds", 3}},
                {Judge("c", {{1}}, Bound::kAtMost, 2)});
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys, testing::ElementsAre("bench", "legs", "device", "seconds", "claims"));
  EXPECT_EQ(json["claims"][0]["verdict"], "pass");
}

}  // namespace
}  // namespace stagger::cli
