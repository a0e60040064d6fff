#include "summary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace camera_detector {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

const TimePoint kStart{std::chrono::seconds(50)};

FrameTimes Taking(TimePoint arrival, int prepare_ms, int inference_ms, int finish_ms) {
  FrameTimes times;
  times.arrival = times.taken = arrival;
  times.start = arrival + milliseconds(prepare_ms);
  times.end = times.start + milliseconds(inference_ms);
  times.result = times.end + milliseconds(finish_ms);
  return times;
}

TEST(Distribution, PercentilesAreNearestRank) {
  Distribution d;
  for (int i = 100; i >= 1; --i) d.Add(i);
  EXPECT_EQ(d.Percentile(0.5), 50);
  EXPECT_EQ(d.Percentile(0.99), 99);
  EXPECT_EQ(d.Percentile(1), 100);
  EXPECT_EQ(d.Percentile(0), 1);
  EXPECT_DOUBLE_EQ(d.mean(), 50.5);
}

TEST(Distribution, OneValueIsEveryPercentile) {
  Distribution d;
  EXPECT_TRUE(d.ToJson().is_null());
  d.Add(7);
  EXPECT_EQ(d.Percentile(0.01), 7);
  EXPECT_EQ(d.Percentile(0.99), 7);
}

TEST(Distribution, LongRunsKeepExtremesAndForgetOldPercentiles) {
  Distribution d;
  d.Add(1000);
  for (int i = 0; i < 70'000; ++i) d.Add(1);
  EXPECT_EQ(d.Percentile(1), 1);
  EXPECT_EQ(d.ToJson()["max"], 1000);
}

TEST(Summary, FramesAreDonePlusDrops) {
  Summary summary({.source = "a.avi", .labels = {"background", "Person"}});
  summary.Start(kStart);
  for (int i = 0; i < 3; ++i) {
    summary.Add(Taking(kStart + milliseconds(100 * i), 2, 10 + i, 3),
                {{1, 0.5f, {0, 0, 1, 1}}, {7, 0.5f, {0, 0, 1, 1}}});
  }
  summary.SetArrived(4);
  summary.Finish(kStart + milliseconds(400));
  const json j = json::parse(summary.ToJson(kStart + milliseconds(9999)));
  EXPECT_EQ(j["frames"], 4);
  EXPECT_EQ(j["done"], 3);
  EXPECT_EQ(j["drops"], 1);
  EXPECT_EQ(j["drop_ratio"], 0.25);
  EXPECT_EQ(j["seconds"], 0.4);
  EXPECT_EQ(j["fps"], 7.5);
  EXPECT_EQ(j["inference_ms"]["p50"], 11);
  EXPECT_EQ(j["latency_ms"]["max"], 17);
  EXPECT_EQ(j["stages_ms"]["finish"], 3);
  EXPECT_EQ(j["detections"], json::parse(R"({"Person":3,"class 7":3})"));
  EXPECT_FALSE(j.contains("hash"));
  EXPECT_FALSE(j.contains("recent_fps"));
}

TEST(Summary, BeforeAnyFrameNothingIsMadeUp) {
  const Summary summary({.source = "bad\xff"
                                   "bytes"});
  const json j = json::parse(summary.ToJson(kStart));
  EXPECT_EQ(j["frames"], 0);
  EXPECT_EQ(j["drop_ratio"], 0.0);
  EXPECT_TRUE(j["inference_ms"].is_null());
  EXPECT_TRUE(j["latency_ms"].is_null());
}

TEST(Summary, EveryFrameModeHashesEachFrame) {
  Summary summary({.every_frame = true});
  summary.Start(kStart);
  summary.Add(Taking(kStart, 1, 1, 1), {});
  summary.Add(Taking(kStart, 1, 1, 1), {{1, 0.5f, {0, 0, 1, 1}}});
  summary.SetArrived(2);
  summary.Finish(kStart + milliseconds(10));
  const json j = json::parse(summary.ToJson(kStart));
  ASSERT_EQ(j["frame_hashes"].size(), 2u);
  EXPECT_NE(j["frame_hashes"][0], j["frame_hashes"][1]);
  EXPECT_EQ(j["hash"].get<std::string>().size(), 16u);
}

TEST(Summary, RecentRateForgetsWhatIsOld) {
  Summary summary(RunFacts{});
  summary.Start(kStart);
  for (int i = 0; i < 100; ++i) {
    summary.Add(Taking(kStart + milliseconds(100 * i), 0, 1, 0), {});
  }
  const auto recent = [&](int ms) {
    return json::parse(summary.ToJson(kStart + milliseconds(ms)))["recent_fps"].get<double>();
  };
  EXPECT_NEAR(recent(9950), 10, 0.3);
  EXPECT_EQ(recent(30'000), 0);
}

}  // namespace
}  // namespace camera_detector
