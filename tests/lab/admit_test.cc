#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/scenario/admit_report.h"
#include "lab/scenario/scenario_file.h"

namespace stagger::cli {
namespace {

using testing::HasSubstr;

std::vector<DeviceVerdict> Judged(const std::string& rest) {
  const Result<sim::Scenario> scenario = ParseScenario("seconds: 1\n" + rest, "s.yaml");
  EXPECT_TRUE(scenario) << scenario.error().message;
  return JudgeDevices(scenario.value());
}

TEST(Admit, WhatFitsIsSaidToFit) {
  const auto verdicts =
      Judged("streams: [{name: a, fps: 10, body_ms: 45}, {name: b, fps: 10, body_ms: 45}]");
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_TRUE(verdicts[0].admitted);
  EXPECT_NEAR(verdicts[0].utilisation_ratio, 0.9, 1e-9);
  const auto json = ToJson(verdicts)["devices"][0];
  EXPECT_EQ(json["name"], "gpu0");
  EXPECT_TRUE(json["binding_stream"].is_null());
  EXPECT_TRUE(json["nearest_fit"].is_null());
}

TEST(Admit, SaysWhoIsLateBecauseOfWhomAndWhatWouldFit) {
  const auto verdicts =
      Judged("streams: [{name: gate, fps: 4, body_ms: 45}, {name: cam7, fps: 30, body_ms: 8}]");
  ASSERT_FALSE(verdicts[0].admitted);
  EXPECT_EQ(verdicts[0].binding_stream, "cam7");
  EXPECT_NEAR(*verdicts[0].interval_ms, 33.333, 0.001);
  ASSERT_TRUE(verdicts[0].nearest_fit);
  EXPECT_EQ(verdicts[0].nearest_fit->stream, "cam7");
  EXPECT_NEAR(verdicts[0].nearest_fit->fps, 18.8, 0.2);
  EXPECT_THAT(verdicts[0].reason, HasSubstr("cam7 at 30 fps does not fit: gate's 45 ms body"));
  EXPECT_THAT(verdicts[0].reason, HasSubstr("53 ms of bodies are due within 33.33 ms"));
  EXPECT_THAT(verdicts[0].reason, HasSubstr("fits with cam7 at 18.8 fps"));
}

TEST(Admit, TheHandOffAndWhatFollowsTheBodyCount) {
  const std::string two = "streams: [{name: a, count: 2, fps: 10, body_ms: 50, post_ms: 0}]";
  EXPECT_TRUE(Judged(two)[0].admitted);
  EXPECT_FALSE(Judged("handoff_ms: 0.2\n" + two)[0].admitted);
  EXPECT_FALSE(
      Judged("streams: [{name: a, count: 2, fps: 10, body_ms: 50, post_ms: 1}]")[0].admitted);
}

TEST(Admit, DevicesAreJudgedOneByOne) {
  const auto verdicts = Judged(
      "devices: [{name: x}, {name: y}]\n"
      "streams: [{name: a, fps: 10, body_ms: 80}, {name: b, fps: 10, body_ms: 120, device: y}]");
  EXPECT_TRUE(verdicts[0].admitted);
  EXPECT_FALSE(verdicts[1].admitted);
  EXPECT_THAT(verdicts[1].reason, HasSubstr("bodies need 1.2 times what the device can do"));
  EXPECT_THAT(ToText(verdicts), HasSubstr("y: does not fit, 120.0 % used by bodies"));
}

TEST(Admit, AStreamThatIsAlwaysReadyOnlyStandsInTheWay) {
  EXPECT_TRUE(
      Judged("streams: [{name: a, fps: 10, body_ms: 50}, {name: b, fps: 0, body_ms: 50}]")[0]
          .admitted);
  EXPECT_FALSE(
      Judged("streams: [{name: a, fps: 10, body_ms: 50}, {name: b, fps: 0, body_ms: 51}]")[0]
          .admitted);
}

}  // namespace
}  // namespace stagger::cli
