#include "lab/demo/demo.h"

#include <gtest/gtest.h>

#include "lab/legs/camera_leg.h"

namespace stagger::cli {
namespace {

TEST(DemoSize, ContendsTheMachineItRunsOn) {
  const DemoSize size = SizeDemo(57, 2, {}, {});
  EXPECT_EQ(size.cameras, 6);
  EXPECT_EQ(size.fps, 10);
  EXPECT_EQ(SizeDemo(57, 1, {}, {}).cameras, 4);
  EXPECT_EQ(SizeDemo(57, 64, {}, {}).cameras, 16);
}

TEST(DemoSize, SlowMachinesGetFinerSteps) {
  EXPECT_DOUBLE_EQ(SizeDemo(10.3, 2, {}, {}).fps, 1.8);
  EXPECT_DOUBLE_EQ(SizeDemo(0.01, 2, {}, {}).fps, 0.1);
}

TEST(DemoSize, WhatIsGivenStays) {
  EXPECT_EQ(SizeDemo(57, 2, 3, {}).cameras, 3);
  EXPECT_EQ(SizeDemo(57, 2, 3, {}).fps, 20);
  EXPECT_EQ(SizeDemo(57, 2, {}, 5).cameras, 12);
  EXPECT_EQ(SizeDemo(57, 2, {}, 1000).cameras, 4);
  EXPECT_EQ(SizeDemo(57, 2, 2, 7.5).fps, 7.5);
}

DemoReport Report() {
  DemoReport report;
  Leg uncontrolled;
  uncontrolled.name = "uncontrolled";
  uncontrolled.apps = 6;
  uncontrolled.fps = 40;
  uncontrolled.drops = 200;
  uncontrolled.drop_ratio = 0.34;
  uncontrolled.inference_ms = Distribution{50, 130, 130, 200, 210};
  Leg controlled = uncontrolled;
  controlled.name = "controlled";
  controlled.fps = 60;
  controlled.drops = 0;
  controlled.drop_ratio = 0;
  controlled.inference_ms = Distribution{15, 39, 40, 100, 110};
  report.legs = {uncontrolled, controlled};
  report.device = {{"name", "cpu:0"}, {"cores", 2}, {"model", "Test CPU"}};
  report.cameras = 6;
  report.fps = 10;
  report.seconds = 15;
  report.work_ms = 8;
  report.alone_fps = 57;
  return report;
}

TEST(DemoReport, ReadsLikeTheTableItAnswers) {
  EXPECT_EQ(
      ToText(Report()),
      "6 cameras x 10 fps for 15 s, all started at once, 8 ms of work per frame\n"
      "on 2 cores of Test CPU; one app alone, as fast as it can: 57.0 fps\n"
      "\n"
      "                      uncontrolled  controlled\n"
      "cameras                          6           6\n"
      "inference time  min        50.0 ms     15.0 ms\n"
      "                mean      130.0 ms     39.0 ms\n"
      "                p50       130.0 ms     40.0 ms\n"
      "                p99       200.0 ms    100.0 ms\n"
      "                max       210.0 ms    110.0 ms\n"
      "dropped frames              34.0 %       0.0 %\n"
      "throughput                40.0 fps    60.0 fps\n"
      "\n"
      "controlled against uncontrolled: throughput x 1.50, drops 0.0 % instead of 34.0 %, mean "
      "inference x 0.30, p99 x 0.50\n");
}

TEST(DemoReport, SaysWhenTheMachineWasDisturbed) {
  DemoReport report = Report();
  report.disturbed = "others were busy";
  EXPECT_NE(ToText(report).find("note: others were busy; figures may be off\n"), std::string::npos);
}

TEST(DemoReport, JsonHasLegsAndRatios) {
  const nlohmann::ordered_json json = ToJson(Report());
  EXPECT_EQ(json["legs"].size(), 2u);
  EXPECT_EQ(json["cameras"], 6);
  EXPECT_EQ(json["ratios"]["fps"], 1.5);
  EXPECT_EQ(json["ratios"]["drops"], 0);
  EXPECT_EQ(json["ratios"]["inference_p99"], 0.5);
  EXPECT_TRUE(json["disturbed"].is_null());
}

TEST(DemoReport, MissingLegsLeaveRatiosNull) {
  DemoReport report = Report();
  report.legs.pop_back();
  EXPECT_TRUE(ToJson(report)["ratios"]["fps"].is_null());
}

TEST(CameraArguments, SayHowToRun) {
  LegPlan plan;
  plan.cameras = 2;
  plan.fps = 7.5;
  plan.seconds = 3;
  plan.tuned = true;
  EXPECT_EQ(CameraArguments(plan, 1),
            (std::vector<std::string>{"--quiet", "--work-ms", "8", "--seconds", "3", "--offset",
                                      "39.5", "--fps", "7.5", "--tuned"}));
  plan.fps.reset();
  plan.tuned = false;
  plan.seconds = 0;
  EXPECT_EQ(
      CameraArguments(plan, 0),
      (std::vector<std::string>{"--quiet", "--work-ms", "8", "--offset", "0.0", "--every-frame"}));
}

}  // namespace
}  // namespace stagger::cli
