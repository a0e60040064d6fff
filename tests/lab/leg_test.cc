#include "lab/legs/leg.h"

#include <gtest/gtest.h>

#include "lab/legs/leg_run.h"
#include "lab/legs/machine.h"

namespace stagger::cli {
namespace {

Sample At(double arrival_ms, double start_ms, double end_ms, double result_ms) {
  return {FromMs(arrival_ms), FromMs(start_ms), FromMs(end_ms), FromMs(result_ms)};
}

TEST(Leg, CountsAndTimesOfPacedApps) {
  AppRecord a{10, 2, {At(1000, 1001, 1011, 1020), At(1100, 1100, 1130, 1140)}};
  AppRecord b{10, 1, {At(1000, 1000, 1200, 1210)}};
  const Leg leg = Summarise({"paced", 10, 1}, {a, b});
  EXPECT_EQ(leg.apps, 2);
  EXPECT_EQ(leg.fps_required, 20);
  EXPECT_EQ(leg.fps, 3);
  EXPECT_EQ(leg.frames, 20);
  EXPECT_EQ(leg.done, 3);
  EXPECT_EQ(leg.drops, 17);
  EXPECT_DOUBLE_EQ(*leg.drop_ratio, 0.85);
  EXPECT_DOUBLE_EQ(*leg.deadline_miss_ratio, 0.9) << "17 drops and one result after 210 ms";
  EXPECT_EQ(leg.inference_ms->min, 10);
  EXPECT_EQ(leg.inference_ms->max, 200);
  EXPECT_EQ(leg.latency_ms->min, 20);
}

TEST(Leg, FetchedFramesHaveNoArrivals) {
  const Leg leg = Summarise({"saturated", std::nullopt, 2}, {{3, 3, {At(0, 0, 10, 18)}}});
  EXPECT_FALSE(leg.fps_required);
  EXPECT_FALSE(leg.frames);
  EXPECT_FALSE(leg.drops);
  EXPECT_FALSE(leg.drop_ratio);
  EXPECT_FALSE(leg.latency_ms);
  EXPECT_EQ(leg.done, 3);
}

TEST(Leg, ResultsAfterTheTimeIsUpDoNotRaiseTheRate) {
  const Leg leg = Summarise({"late", std::nullopt, 1},
                            {{2, 2, {At(5000, 5000, 5900, 5910), At(5910, 5910, 6001, 6010)}}});
  EXPECT_EQ(leg.fps, 1);
}

TEST(Leg, NoAppsNoFigures) {
  const Leg leg = Summarise({"empty", 10, 1}, {});
  EXPECT_FALSE(leg.inference_ms);
  EXPECT_FALSE(leg.drop_ratio);
}

TEST(Leg, JsonHasEveryKeyInOrder) {
  const std::vector<std::string> expected{
      "name",         "policy",     "concurrency", "apps",
      "fps_required", "fps",        "frames",      "done",
      "drops",        "skipped",    "drop_ratio",  "deadline_miss_ratio",
      "inference_ms", "latency_ms", "body_ms",     "overlap_ratio"};
  Leg leg;
  leg.name = "x";
  leg.fps = 12.5;
  const nlohmann::ordered_json json = ToJson(leg);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_EQ(keys, expected);
  EXPECT_TRUE(json["policy"].is_null());
  EXPECT_TRUE(json["inference_ms"].is_null());
  EXPECT_EQ(json["fps"], 12.5);
}

TEST(Leg, MedianOverRepeats) {
  std::vector<Leg> legs(3);
  const double fps[] = {10, 30, 20};
  for (std::size_t i = 0; i < 3; ++i) {
    legs[i].name = "x";
    legs[i].fps = fps[i];
    legs[i].inference_ms = Distribution{fps[i], fps[i], fps[i], fps[i], fps[i]};
  }
  legs[0].overlap_ratio = 0.5;  // where only some know a figure, those count
  const Leg median = MedianLeg(legs);
  EXPECT_EQ(median.fps, 20);
  EXPECT_EQ(median.inference_ms->p99, 20);
  EXPECT_EQ(median.overlap_ratio, 0.5);
  EXPECT_FALSE(median.body_ms);
  EXPECT_EQ(median.repeats, 3);
  const nlohmann::ordered_json json = ToJson(median);
  EXPECT_EQ(json["fps_spread"], nlohmann::ordered_json::parse("[10.0, 30.0]"));
}

TEST(Leg, ReadsSampleLines) {
  EXPECT_EQ(ParseSample("1,2,3,4")->result, Duration{4});
  for (const char* bad :
       {"arrival_ns,start_ns,end_ns,result_ns", "", "1,2,3", "1,2,3,4,5", "1,2,3,"}) {
    EXPECT_FALSE(ParseSample(bad)) << bad;
  }
}

TEST(LegNames, ChoosesInTheKnownOrder) {
  EXPECT_EQ(*ChooseLegs("b,a,b", {"a", "b", "c"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ChooseLegs("a,,b", {"a", "b"}).error().message, "--legs: unknown leg ''; known: a, b");
  EXPECT_EQ(ChooseLegs("z", {"a", "b"}).error().message, "--legs: unknown leg 'z'; known: a, b");
}

TEST(Machine, ReadsProcStat) {
  const auto time = ParseMachineTime("cpu  100 10 50 800 40 5 5 20 7 0\ncpu0 1 1\n", 100);
  ASSERT_TRUE(time);
  EXPECT_EQ(ToMs(time->busy), 1700);
  EXPECT_EQ(ToMs(time->stolen), 200);
  EXPECT_EQ(ToMs(time->total), 10300);
  EXPECT_FALSE(ParseMachineTime("", 100));
  EXPECT_FALSE(ParseMachineTime("cpu 1 2", 100));
}

TEST(Machine, DisturbedByOthersOrTheHost) {
  const MachineTime before{};
  const MachineTime after{FromMs(900), FromMs(0), FromMs(1000)};
  EXPECT_FALSE(DisturbanceBetween(before, after, FromMs(880)).disturbed());
  EXPECT_TRUE(DisturbanceBetween(before, after, FromMs(800)).disturbed());
  EXPECT_FALSE(DisturbanceBetween(before, after, FromMs(2000)).disturbed()) << "ticks are coarse";
  const MachineTime stolen{FromMs(900), FromMs(60), FromMs(1000)};
  EXPECT_TRUE(DisturbanceBetween(before, stolen, FromMs(900)).disturbed());
}

}  // namespace
}  // namespace stagger::cli
