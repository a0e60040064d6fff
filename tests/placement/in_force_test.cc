// The plan in force: streams and devices come and go, and every device stays within the test.
#include "placement/in_force.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "plan_calls.h"

namespace stagger::placement {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr TimePoint kNow{std::chrono::seconds{100}};
constexpr pid_t kUp = 7;
constexpr pid_t kRun = 8;

PlacedDevice Core(const std::string& name, double speed) {
  PlacedDevice device;
  device.plan = {name, speed, 0, placement::DeviceKind::kExecutor};
  device.on = "cpu:0";
  device.socket = "/" + name;
  device.owner = kUp;
  return device;
}

PlacedStream Stream(const std::string& name, double fps, double body_ms,
                    placement::PlacedOn on = {}, pid_t owner = kUp) {
  PlacedStream stream;
  stream.need.name = stream.need.app = name;
  stream.need.fps = fps;
  stream.need.body = FromMs(body_ms);
  stream.need.kind = placement::DeviceKind::kExecutor;
  stream.need.most_parts = 1;
  stream.owner = owner;
  stream.on = std::move(on);
  return stream;
}

// Two devices of speed 1, about half full.
class PlacementTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto added = placement_.Add(
        {Core("a", 1), Core("b", 1)},
        {Stream("one", 10, 30, {0}), Stream("two", 10, 20, {0}), Stream("three", 10, 40, {1})},
        false, kNow);
    ASSERT_TRUE(added) << added.error().message;
    EXPECT_THAT(*added, UnorderedElementsAre("one", "two", "three"));
  }
  std::string On(const std::string& name) const {
    return placement_.DeviceNamesOf(*placement_.Find(name));
  }
  PlanCalls placement_;
};

TEST_F(PlacementTest, KeepsToThePlanItIsGiven) {
  EXPECT_EQ(On("one"), "a");
  EXPECT_EQ(On("two"), "a");
  EXPECT_EQ(On("three"), "b");
  EXPECT_THAT(placement_.Find("one")->reason, HasSubstr("beside 1 other on a"));
  EXPECT_EQ(placement_.Find("one")->moves, 0U);
}

TEST_F(PlacementTest, ADeviceThatGoesAndComesBack) {
  EXPECT_THAT(placement_.DeviceGone("a", "its executor has ended", kNow),
              UnorderedElementsAre("one", "two"));
  EXPECT_EQ(On("one"), "b");
  EXPECT_EQ(On("two"), "b");
  EXPECT_EQ(placement_.Find("one")->moves, 1U);
  EXPECT_THAT(placement_.Find("one")->reason,
              HasSubstr("moved from a: a is gone (its executor has ended); beside 2 others on b"));
  EXPECT_EQ(placement_.events().back().text,
            "two moves from a to b: a is gone (its executor has ended)");
  EXPECT_THAT(placement_.DeviceGone("a", "again", kNow), IsEmpty()) << "known already";

  EXPECT_THAT(placement_.DeviceBack("a", kNow), UnorderedElementsAre("one", "two"));
  EXPECT_EQ(On("one"), "a");
  EXPECT_THAT(placement_.Find("two")->reason, HasSubstr("moved back: a is here again"));
  EXPECT_THAT(placement_.DeviceBack("a", kNow), IsEmpty());
}

TEST_F(PlacementTest, AnAppOnAGpuGoesHomeOnlyIfItIsRestartedForThat) {
  std::vector<PlacedDevice> gpus{Core("g", 1), Core("h", 1)};
  for (PlacedDevice& gpu : gpus) {
    gpu.plan.kind = placement::DeviceKind::kGpu;
    gpu.socket.clear();
  }
  std::vector<PlacedStream> streams{Stream("stays", 10, 30, {2}), Stream("returns", 10, 20, {2})};
  for (PlacedStream& stream : streams) stream.need.kind = placement::DeviceKind::kGpu;
  streams[1].restarts = true;
  ASSERT_TRUE(placement_.Add(gpus, streams, false, kNow));
  EXPECT_THAT(placement_.DeviceGone("g", "lost", kNow), UnorderedElementsAre("stays", "returns"));
  EXPECT_EQ(On("stays"), "h");
  EXPECT_EQ(On("returns"), "h");
  EXPECT_THAT(placement_.DeviceBack("g", kNow), ElementsAre("returns"));
  EXPECT_EQ(On("stays"), "h");
  EXPECT_EQ(On("returns"), "g");
}

TEST_F(PlacementTest, WhoFindsNoRoomIsWithoutAPlaceUntilThereIsOne) {
  ASSERT_TRUE(placement_.Add({}, {Stream("four", 10, 40, {1})}, false, kNow));
  // b has 80 % taken: of one (30 %) and two (20 %) the second fits.
  EXPECT_THAT(placement_.DeviceGone("a", "gone", kNow), UnorderedElementsAre("one", "two"));
  EXPECT_EQ(On("one"), "no device");
  EXPECT_EQ(On("two"), "b");
  EXPECT_THAT(placement_.Find("one")->reason, HasSubstr("does not fit anywhere"));
  // One that leaves makes room.
  EXPECT_THAT(placement_.Remove({"four"}, kNow), ElementsAre("one"));
  EXPECT_EQ(On("one"), "b");
}

TEST_F(PlacementTest, TheHeavierIsPlacedFirst) {
  PlacedStream light = Stream("light", 10, 30, {0});
  PlacedStream heavy = Stream("heavy", 10, 30, {0});
  heavy.weight = 5;
  PlanCalls placement;
  ASSERT_TRUE(placement.Add({Core("a", 1), Core("b", 1)},
                            {light, heavy, Stream("there", 10, 60, {1})}, false, kNow));
  placement.DeviceGone("a", "gone", kNow);
  EXPECT_EQ(placement.DeviceNamesOf(*placement.Find("heavy")), "b");
  EXPECT_EQ(placement.DeviceNamesOf(*placement.Find("light")), "no device");
}

TEST_F(PlacementTest, AllOrNothing) {
  const auto refused =
      placement_.Add({}, {Stream("small", 10, 10), Stream("large", 10, 101)}, false, kNow);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("large does not fit anywhere: lower body from 101"));
  EXPECT_EQ(placement_.Find("small"), nullptr);
  EXPECT_EQ(placement_.streams().size(), 3U);
  EXPECT_TRUE(placement_.Add({}, {Stream("small", 10, 10), Stream("large", 10, 101)}, true, kNow));
  EXPECT_EQ(On("large"), "no device");

  EXPECT_THAT(placement_.Add({}, {Stream("one", 1, 1)}, false, kNow).error().message,
              HasSubstr("'one' has a place already, of pid 7"));
  EXPECT_THAT(placement_.Add({Core("a", 1)}, {}, false, kNow).error().message,
              HasSubstr("device 'a' is there already, of pid 7"));
}

TEST_F(PlacementTest, WhatAProcessAskedForEndsWithIt) {
  ASSERT_TRUE(placement_.Add({}, {Stream("late", 10, 30, {}, kRun)}, false, kNow));
  EXPECT_EQ(On("late"), "a") << "the fullest device that takes it: a has 50 %, b 40 %";
  EXPECT_THAT(placement_.RemoveOwner(kRun, kNow), IsEmpty());
  EXPECT_EQ(placement_.Find("late"), nullptr);
  ASSERT_TRUE(placement_.Add({}, {Stream("late", 10, 30, {}, kRun)}, false, kNow));
  // Its devices go with the site, and another's stream is left without.
  EXPECT_THAT(placement_.RemoveOwner(kUp, kNow), ElementsAre("late"));
  EXPECT_THAT(placement_.devices(), IsEmpty());
  EXPECT_EQ(On("late"), "no device");
}

TEST_F(PlacementTest, OnlyWhoMayIsSplit) {
  PlanCalls placement;
  ASSERT_TRUE(
      placement.Add({Core("a", 1), Core("b", 1)}, {Stream("small", 2, 50, {0})}, false, kNow));
  // Longer than its period.
  PlacedStream large = Stream("large", 10, 101);
  EXPECT_FALSE(placement.Add({}, {large}, false, kNow));
  large.need.most_parts = 2;
  ASSERT_TRUE(placement.Add({}, {large}, false, kNow));
  EXPECT_EQ(placement.DeviceNamesOf(*placement.Find("large")), "a, b");
}

TEST_F(PlacementTest, KindsDoNotMix) {
  PlacedDevice gpu;
  gpu.plan = {"g", 10, 0, placement::DeviceKind::kGpu};
  gpu.on = "gpu:0";
  gpu.owner = kUp;
  ASSERT_TRUE(placement_.Add({gpu}, {}, false, kNow));
  const auto refused = placement_.Add({}, {Stream("large", 10, 101)}, false, kNow);
  EXPECT_FALSE(refused) << "though the GPU has room";
}

// A GPU that apps use themselves, with an executor beside them.
PlacedDevice SharedGpu() {
  PlacedDevice gpu;
  gpu.plan = {"g", 1, 0, placement::DeviceKind::kAny};
  gpu.on = "gpu:0";
  gpu.uuid = "GPU-1";
  gpu.socket = "/g";
  gpu.owner = kUp;
  return gpu;
}

TEST(PlacementOnSharedGpuTest, TakesBothKindsAndOnlyTheExecutorsLeaveWithIt) {
  const PlacedDevice gpu = SharedGpu();
  PlacedStream local = Stream("local", 10, 30, {0});
  local.need.kind = placement::DeviceKind::kGpu;
  PlanCalls placement;
  ASSERT_TRUE(
      placement.Add({gpu, Core("a", 1)}, {local, Stream("sent", 10, 30, {0})}, false, kNow));
  const auto on = [&](const char* name) { return placement.DeviceNamesOf(*placement.Find(name)); };
  EXPECT_EQ(on("sent"), "g");
  EXPECT_THAT(placement.ExecutorGone("g", "its executor has ended", kNow), ElementsAre("sent"));
  EXPECT_THAT(placement.ExecutorGone("g", "its executor has ended", kNow), IsEmpty());
  EXPECT_EQ(on("local"), "g") << "it needs no executor";
  EXPECT_EQ(on("sent"), "a");
  // Meanwhile it takes apps that use it themselves, and no others.
  PlacedStream late = local;
  late.need.name = "late";
  late.on.clear();
  ASSERT_TRUE(placement.Add({}, {late}, false, kNow));
  EXPECT_EQ(on("late"), "g");
  EXPECT_FALSE(placement.Add({}, {Stream("large", 10, 80)}, false, kNow));
  EXPECT_THAT(placement.ExecutorBack("g", kNow), ElementsAre("sent"));
  EXPECT_THAT(placement.ExecutorBack("g", kNow), IsEmpty());
  EXPECT_EQ(on("sent"), "g");
  EXPECT_EQ(placement.Find("local")->moves, 0U);
}

TEST(PlacementOnSharedGpuTest, NothingIsLeftWithAnExecutorThatLeavesAnOverfullGpu) {
  PlacedStream local = Stream("local", 10, 30, {0});
  local.need.kind = placement::DeviceKind::kGpu;
  PlanCalls placement;
  // The core is too slow for what is sent.
  ASSERT_TRUE(placement.Add({SharedGpu(), Core("a", 0.2)}, {local, Stream("sent", 10, 30, {0})},
                            false, kNow));
  DeviceMeasurements measurements;
  measurements.apps = {{"local", FromMs(95)}};
  placement.Measure("g", measurements, kNow);
  EXPECT_THAT(placement.Measure("g", measurements, kNow), IsEmpty());
  EXPECT_FALSE(placement.FindDevice("g")->overfull.empty());
  EXPECT_THAT(placement.ExecutorGone("g", "its executor has ended", kNow), ElementsAre("sent"));
  EXPECT_EQ(placement.DeviceNamesOf(*placement.Find("sent")), "no device");
  EXPECT_EQ(placement.DeviceNamesOf(*placement.Find("local")), "g");
}

TEST(PlacementOnSharedGpuTest, TheGpuItselfIsLostAndIsBackBeforeItsExecutor) {
  const PlacedDevice gpu = SharedGpu();
  PlacedDevice other = gpu;
  other.plan = {"h", 1, 0, placement::DeviceKind::kGpu};
  other.on = "gpu:1";
  other.uuid = "GPU-2";
  other.socket.clear();
  PlacedStream local = Stream("local", 10, 30, {0});
  local.need.kind = placement::DeviceKind::kGpu;
  local.restarts = true;
  PlanCalls placement;
  ASSERT_TRUE(
      placement.Add({gpu, other, Core("a", 1)}, {local, Stream("sent", 10, 30, {0})}, false, kNow));
  const auto on = [&](const char* name) { return placement.DeviceNamesOf(*placement.Find(name)); };
  EXPECT_THAT(placement.DeviceGone("g", "lost", kNow), UnorderedElementsAre("local", "sent"));
  EXPECT_EQ(on("local"), "h");
  EXPECT_EQ(on("sent"), "a");
  EXPECT_THAT(placement.ExecutorGone("g", "its executor has ended", kNow), IsEmpty());
  EXPECT_THAT(placement.DeviceBack("g", kNow), ElementsAre("local"));
  EXPECT_EQ(on("local"), "g");
  EXPECT_EQ(on("sent"), "a") << "nobody there takes it";
  EXPECT_THAT(placement.ExecutorBack("g", kNow), ElementsAre("sent"));
  EXPECT_EQ(on("sent"), "g");
}

}  // namespace
}  // namespace stagger::placement
