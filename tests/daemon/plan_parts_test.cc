// What the plan service reads: requests for places, and measurements of executors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "daemon/plan/executor_measurements.h"
#include "daemon/plan/plan_request.h"

namespace stagger::daemon {
namespace {

using nlohmann::json;
using placement::DeviceMeasurements;
using testing::HasSubstr;

TEST(PlaceRequestTest, NamesWhatIsWrong) {
  const auto said = [](const char* text) {
    const auto request = ParsePlaceRequest(json::parse(text), {});
    return request ? std::string() : request.error().message;
  };
  EXPECT_EQ(said(R"({"devices": [{"name": "a", "on": "cpu:0", "socket": "/s"}],
                     "streams": [{"name": "x", "fps": 5, "body_ms": 3, "devices": ["a"]}]})"),
            "");
  EXPECT_THAT(said(R"({"device": []})"), HasSubstr("place.device: []; expected no such field"));
  EXPECT_THAT(said(R"({"devices": [{"name": "a", "on": "cpu:0"}]})"),
              HasSubstr("expected a socket, where its executor listens"));
  EXPECT_THAT(said(R"({"devices": [{"name": "a", "on": "gpu:3"}]})"),
              HasSubstr("device 'a': gpu:3 is not one of this daemon's devices"));
  EXPECT_THAT(said(R"({"devices": [{"name": "a", "on": "tpu", "socket": "/s"}]})"),
              HasSubstr("place.devices[0].on: \"tpu\"; expected cpu:N, or gpu:N"));
  EXPECT_THAT(said(R"({"streams": [{"name": "x", "body_ms": 3}]})"), HasSubstr("expected a rate"));
  EXPECT_THAT(said(R"({"streams": [{"name": "x", "fps": 5}]})"), HasSubstr("body_ms, or like"));
  EXPECT_THAT(said(R"({"streams": [{"name": "x", "fps": -5}]})"),
              HasSubstr("place.streams[0].fps: -5; expected a number up to"));
  EXPECT_THAT(said(R"({"streams": 5})"), HasSubstr("place.streams: 5; expected a list"));
}

TEST(ExecutorMeasurementsTest, OnlyWhatRanSinceAndOftenEnough) {
  ExecutorMeasurements reader;
  const std::string status =
      R"({"inferences": 40, "pace_ratio": 0.5, "available_bytes": 3e9, "model_memory_bytes": 1000000000,
          "apps": [{"name": "gate", "inferences": 30, "samples": 25, "body_ms": 12.5},
                   {"name": "new", "inferences": 10, "samples": 5, "body_ms": 80}, 7]})";
  const DeviceMeasurements first = reader.Read(status);
  EXPECT_EQ(first.pace, 0.5);
  EXPECT_NEAR(first.available_gb, 4, 1e-9);
  ASSERT_EQ(first.apps.size(), 1U);
  EXPECT_EQ(first.apps[0].name, "gate");
  EXPECT_EQ(first.apps[0].body, FromMs(12.5));
  const DeviceMeasurements again = reader.Read(status);
  EXPECT_EQ(again.pace, std::nullopt);
  EXPECT_TRUE(again.apps.empty());
  EXPECT_TRUE(reader.Read("nonsense").apps.empty());
}

}  // namespace
}  // namespace stagger::daemon
