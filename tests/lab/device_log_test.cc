#include "lab/bench/t4/device_log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace stagger::cli {
namespace {

TimePoint At(double ms) { return TimePoint{FromMs(ms)}; }

std::string Op(int process, const std::string& kind, const std::string& phase, double begin_ms,
               double end_ms, int result = 0) {
  const auto ns = [](double ms) { return std::to_string(FromMs(ms).count()); };
  std::string line = R"({"event":"op","process":)" + std::to_string(process) +
                     R"(,"pid":7,"op":1,"stream":1,"kind":")" + kind + "\",";
  if (kind == "kernel") line += R"("name":"k","class":")" + phase + R"(","demand":1,)";
  return line + R"("submitted_ns":0,"begin_ns":)" + ns(begin_ms) + R"(,"end_ns":)" + ns(end_ms) +
         R"(,"result":)" + std::to_string(result) + "}\n";
}

Result<std::vector<DeviceBody>> Read(const std::string& text) {
  std::istringstream log(text);
  return ReadBodies(log);
}

TEST(DeviceLog, ABodyLastsUntilTheNextCopyOrPostKernel) {
  const auto bodies =
      Read(R"({"event":"device","name":"x","at_ns":1})"
           "\n" +
           Op(1, "htod", "", 0, 1) + Op(1, "kernel", "body", 1, 5) + Op(2, "kernel", "body", 2, 6) +
           Op(1, "memset", "", 5, 5) + Op(1, "kernel", "body", 5, 9) +
           Op(1, "kernel", "post", 9, 12) + Op(1, "dtoh", "", 12, 13) + Op(1, "htod", "", 13, 14) +
           Op(1, "kernel", "body", 14, 15) + Op(2, "kernel", "body", 6, 20));
  ASSERT_TRUE(bodies) << bodies.error().message;
  ASSERT_EQ(bodies->size(), 3u);
  EXPECT_EQ((*bodies)[0].begin, At(1));
  EXPECT_EQ((*bodies)[0].end, At(9));
  EXPECT_EQ((*bodies)[1].process, 2u);
  EXPECT_EQ((*bodies)[1].end, At(20));
  EXPECT_EQ((*bodies)[2].begin, At(14));
}

TEST(DeviceLog, WhatWasCutOffIsNoBody) {
  const auto bodies = Read(Op(1, "kernel", "body", 0, 5, /*result=*/4));
  ASSERT_TRUE(bodies);
  EXPECT_TRUE(bodies->empty());
}

TEST(DeviceLog, NamesTheLineThatIsNone) {
  EXPECT_EQ(Read(Op(1, "dtoh", "", 0, 1) + "{\"event\":\"op\",\n").error().message,
            "line 2 of the device's log is none");
  EXPECT_EQ(Read("{\"event\":\"op\",\"process\":1}\n").error().message,
            "line 1 of the device's log: an operation without process, begin_ns or end_ns");
}

TEST(Bodies, OverlapIsTheShareOfBodyTimeBesideOthers) {
  // 10 ms alone, 10 ms of two, 10 ms alone: 20 of 40 ms of body time overlap.
  const std::vector<DeviceBody> bodies{{1, At(0), At(20)}, {2, At(10), At(30)}};
  const BodyMeasurements figures = BodiesWithin(bodies, At(0), At(100), 1);
  EXPECT_DOUBLE_EQ(*figures.overlap_ratio, 0.5);
  EXPECT_DOUBLE_EQ(figures.body_ms->mean, 20);
  EXPECT_DOUBLE_EQ(*BodiesWithin(bodies, At(0), At(100), 2).overlap_ratio, 0);
}

TEST(Bodies, OneAfterAnotherDoNotOverlap) {
  const std::vector<DeviceBody> bodies{{2, At(20), At(30)}, {1, At(0), At(20)}};
  EXPECT_DOUBLE_EQ(*BodiesWithin(bodies, At(0), At(100), 1).overlap_ratio, 0);
}

TEST(Bodies, OfOneProcessDoNotCountTwice) {
  const std::vector<DeviceBody> bodies{{1, At(0), At(20)}, {1, At(10), At(30)}};
  EXPECT_DOUBLE_EQ(*BodiesWithin(bodies, At(0), At(100), 1).overlap_ratio, 0);
}

TEST(Bodies, WhatIsOutsideTheWindowDoesNotCount) {
  // Both overlap before it; within it one of them runs for 5 ms more.
  const std::vector<DeviceBody> bodies{{1, At(0), At(25)}, {2, At(0), At(20)}, {3, At(40), At(90)}};
  const BodyMeasurements figures = BodiesWithin(bodies, At(20), At(50), 1);
  EXPECT_DOUBLE_EQ(*figures.overlap_ratio, 0);
  EXPECT_DOUBLE_EQ(figures.body_ms->min, 50) << "those that began in it, as long as they took";
  EXPECT_FALSE(BodiesWithin(bodies, At(95), At(99), 1).overlap_ratio);
}

}  // namespace
}  // namespace stagger::cli
