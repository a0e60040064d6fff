// Devices that no longer keep to the plan, as measured: which streams move, and which do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "placement/drift.h"
#include "placement/in_force.h"
#include "plan_calls.h"

namespace stagger::placement {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Duration kHalf = std::chrono::milliseconds{500};

PlacedDevice Core(const std::string& name, double speed, double memory_gb = 0) {
  PlacedDevice device;
  device.plan = {name, speed, memory_gb, placement::DeviceKind::kExecutor};
  device.on = "cpu:0";
  device.socket = "/" + name;
  return device;
}

PlacedStream Stream(const std::string& name, double fps, double body_ms, placement::PlacedOn on,
                    double memory_gb = 0) {
  PlacedStream stream;
  stream.need.name = stream.need.app = name;
  stream.need.fps = fps;
  stream.need.body = FromMs(body_ms);
  stream.need.kind = placement::DeviceKind::kExecutor;
  stream.need.most_parts = 1;
  stream.need.memory_gb = memory_gb;
  stream.on = std::move(on);
  return stream;
}

TEST(DriftTest, NoiseChangesNothingAndWhatLastsDoes) {
  Drift drift;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(drift.Take(i % 2 == 0 ? 3 : 1));      // every second one
    EXPECT_FALSE(drift.Take(i % 3 == 0 ? 0.5 : 1.1));  // within the tolerance, or less than planned
  }
  EXPECT_EQ(drift.factor(), 1);
  EXPECT_FALSE(drift.Take(2.2));
  EXPECT_TRUE(drift.Take(2));
  EXPECT_EQ(drift.factor(), 2) << "the least of them";
  // It takes longer to believe in less, and what is in between is not news.
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(drift.Take(1));
  EXPECT_FALSE(drift.Take(1.9));
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(drift.Take(1.05));
  EXPECT_TRUE(drift.Take(1));
  EXPECT_EQ(drift.factor(), 1);
  EXPECT_FALSE(drift.Take(NAN));
}

class ReliefTest : public testing::Test {
 protected:
  void Plan(std::vector<PlacedDevice> devices, std::vector<PlacedStream> streams) {
    const auto added = placement_.Add(std::move(devices), std::move(streams), false, now_);
    ASSERT_TRUE(added) << added.error().message;
  }
  // As an executor's measurements come: each half second.
  PlanCalls::Changed Measure(const std::string& device, DeviceMeasurements measurements,
                             int times = 1) {
    PlanCalls::Changed changed;
    for (int i = 0; i < times; ++i) {
      now_ = now_ + kHalf;
      for (std::string& name : placement_.Measure(device, measurements, now_))
        changed.push_back(name);
    }
    return changed;
  }
  PlanCalls::Changed Body(const std::string& device, const std::string& stream, double body_ms,
                          int times = 1) {
    return Measure(device, {.pace = 1, .available_gb = 0, .apps = {{stream, FromMs(body_ms)}}},
                   times);
  }
  // What the latest event has told of rates: lowered, or 0 as they are needed.
  std::map<std::string, double> Caps() const {
    std::map<std::string, double> caps;
    for (const PlanAction& action : placement_.told()) {
      if (const auto* cap = std::get_if<CapRate>(&action)) caps[cap->stream] = cap->fps;
    }
    return caps;
  }
  std::string On(const std::string& name) const {
    return placement_.DeviceNamesOf(*placement_.Find(name));
  }
  PlanCalls placement_;
  TimePoint now_{std::chrono::seconds{100}};
};

TEST_F(ReliefTest, AStreamWhoseBodyGrowsMovesWithinASecondOfBeingSeen) {
  Plan({Core("a", 1), Core("b", 1)},
       {Stream("one", 10, 30, {0}), Stream("two", 10, 20, {0}), Stream("three", 10, 20, {1})});
  EXPECT_THAT(Body("a", "one", 31, 100), IsEmpty()) << "as planned";
  EXPECT_THAT(Body("a", "one", 60), IsEmpty()) << "once is noise";
  EXPECT_THAT(Body("a", "one", 31), IsEmpty());
  // 70 of 100 ms with "two", and 20 more: it still fits where it is. It stays.
  EXPECT_THAT(Body("a", "one", 70, 4), IsEmpty());
  EXPECT_EQ(On("one"), "a");
  EXPECT_THAT(Body("a", "one", 85, 2), ElementsAre("two"))
      << "with 85 ms it passes nowhere but by itself";
  EXPECT_EQ(On("two"), "b");
  EXPECT_THAT(placement_.Find("two")->reason,
              HasSubstr("moved from a: the body of one takes 85 ms there, not 30; beside 1 other"));
  EXPECT_EQ(placement_.Find("one")->moves, 0U);
  EXPECT_EQ(placement_.events().size(), 1U) << "the fewest there can be";
}

TEST_F(ReliefTest, TheGrownOneGoesWhereItCan) {
  Plan({Core("a", 1), Core("b", 1)},
       {Stream("one", 10, 30, {0}), Stream("two", 10, 45, {0}), Stream("three", 10, 20, {1})});
  EXPECT_THAT(Body("a", "one", 60, 2), ElementsAre("one"));
  EXPECT_EQ(On("one"), "b");
  // What it takes there is as much: nothing further moves.
  EXPECT_THAT(Body("b", "one", 60, 100), IsEmpty());
}

TEST_F(ReliefTest, ADeviceThatOthersUseIsSlower) {
  // At half its speed "a" has no time for both; at its own, "b" has time for one of them only.
  Plan({Core("a", 1), Core("b", 1)},
       {Stream("one", 10, 30, {0}), Stream("two", 10, 35, {0}), Stream("three", 10, 50, {1})});
  const DeviceMeasurements slow{.pace = 0.5, .available_gb = 0, .apps = {{"one", FromMs(30)}}};
  EXPECT_THAT(Measure("a", slow), IsEmpty());
  const auto moved = Measure("a", slow);
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(On(moved.front()), "b");
  EXPECT_THAT(placement_.Find(moved.front())->reason, HasSubstr("a has 50 % of its speed left"));
  EXPECT_THAT(Measure("a", slow, 100), IsEmpty());
}

TEST_F(ReliefTest, WhereNothingElseHasRoomRatesAreLoweredUntilItPasses) {
  auto one = Stream("one", 20, 20, {0});
  auto two = Stream("two", 20, 20, {0});
  one.need.deadline = two.need.deadline = FromMs(100);
  two.weight = 3;
  Plan({Core("a", 1)}, {one, two});
  // 60 of 50 ms, and due when the next frame comes.
  EXPECT_THAT(Body("a", "one", 40, 2), IsEmpty());
  const double first = placement_.Find("one")->lowered_fps;
  const double second = placement_.Find("two")->lowered_fps;
  EXPECT_GT(first, 8);
  EXPECT_LT(first, second) << "more weight gives up less";
  EXPECT_LT(second, 20);
  EXPECT_LE(first * 0.040 + second * 0.020, 0.98);
  EXPECT_THAT(placement_.events().back().text, HasSubstr("its rate is lowered to "));
  const std::size_t said = placement_.events().size();
  Body("a", "one", 40, 20);
  EXPECT_EQ(placement_.events().size(), said) << "once";
  Body("a", "one", 20, 10);
  EXPECT_EQ(placement_.Find("one")->lowered_fps, 0);
  EXPECT_EQ(placement_.Find("two")->lowered_fps, 0);
}

TEST_F(ReliefTest, LoweredRatesAreToldEachTimeAndTheirEndOnce) {
  Plan({Core("a", 1)}, {Stream("one", 20, 20, {0}), Stream("two", 20, 20, {0})});
  Body("a", "one", 40, 3);
  for (int i = 0; i < 3; ++i) {
    Body("a", "one", 40);
    EXPECT_THAT(Caps(), testing::SizeIs(2));
    EXPECT_EQ(Caps()["one"], placement_.Find("one")->lowered_fps);
    EXPECT_GT(Caps()["one"], 0);
  }
  placement_.Remove({"one"}, now_);
  EXPECT_THAT(Caps(), ElementsAre(testing::Pair("one", 0))) << "it may ask for what it needs";
  EXPECT_THAT(placement_.told(), testing::Contains(testing::VariantWith<AssignTo>(testing::Field(
                                     &AssignTo::sockets, testing::Eq(std::nullopt)))));
  Body("a", "two", 20);
  EXPECT_THAT(Caps(), ElementsAre(testing::Pair("two", 0)));
  Body("a", "two", 20);
  EXPECT_THAT(Caps(), IsEmpty());
}

TEST_F(ReliefTest, ASplitStreamHasTheRateThatItsFullestDeviceLeaves) {
  auto wide = Stream("wide", 20, 40, {0, 1});
  wide.need.most_parts = 2;
  Plan({Core("a", 1), Core("b", 1)},
       {wide, Stream("one", 10, 30, {0}), Stream("two", 10, 25, {1})});
  const auto lowered = [&](const char* name) { return placement_.Find(name)->lowered_fps; };
  // Every second frame of "wide" is for "a": 40 of 100 ms.
  EXPECT_THAT(Body("a", "one", 80, 2), IsEmpty());
  const double whole = lowered("wide");
  const double one = lowered("one");
  EXPECT_GT(whole, 0);
  EXPECT_LT(whole, 20);
  EXPECT_GT(one, 0);
  EXPECT_LE(whole / 2 * 0.040 + one * 0.080, 0.98 + 1e-9);
  EXPECT_EQ(lowered("two"), 0) << "its device has time";
  // Now the other one, too, but less so: "two" gets what "wide" cannot use there.
  Body("b", "two", 65, 2);
  EXPECT_EQ(lowered("wide"), whole);
  EXPECT_EQ(lowered("one"), one);
  const double two = lowered("two") > 0 ? lowered("two") : 10;
  EXPECT_LE(whole / 2 * 0.040 + two * 0.065, 0.98 + 1e-9);
  EXPECT_GT(two, 10 * 0.98 / (0.40 + 0.65)) << "more than what both being pressed would leave it";
  Body("a", "one", 30, 10);
  Body("b", "two", 25, 10);
  for (const char* name : {"wide", "one", "two"}) EXPECT_EQ(lowered(name), 0) << name;
}

TEST_F(ReliefTest, OnGpusOnlyThoseMoveThatAreStartedAgainForIt) {
  std::vector<PlacedDevice> gpus{Core("g", 1), Core("h", 1)};
  std::vector<PlacedStream> streams{Stream("stays", 10, 30, {0}), Stream("too", 10, 30, {0})};
  for (PlacedDevice& gpu : gpus) {
    gpu.plan.kind = placement::DeviceKind::kGpu;
    gpu.socket.clear();
    gpu.uuid = "GPU-" + gpu.plan.name;
  }
  for (PlacedStream& stream : streams) stream.need.kind = placement::DeviceKind::kGpu;
  auto returns = streams[1];
  returns.need.name = "returns";
  returns.need.body = FromMs(20);
  returns.restarts = true;
  Plan(gpus, {streams[0], returns});
  EXPECT_THAT(Body("g", "stays", 85, 2), ElementsAre("returns"));
  EXPECT_EQ(On("returns"), "h");
  // Beside one that is not started again either nothing can be done, and no rate is lowered: they
  // wait for their turns.
  PlanCalls both;
  ASSERT_TRUE(both.Add(gpus, streams, false, now_));
  DeviceMeasurements measurements;
  measurements.apps = {{"stays", FromMs(85)}};
  for (int i = 0; i < 4; ++i) {
    now_ = now_ + kHalf;
    EXPECT_THAT(both.Measure("g", measurements, now_), IsEmpty());
  }
  EXPECT_THAT(both.FindDevice("g")->overfull, HasSubstr("not started again for that (on_move"));
  EXPECT_EQ(both.Find("too")->lowered_fps, 0);
  EXPECT_EQ(both.events().size(), 1U);
}

TEST_F(ReliefTest, WhereLowerRatesDoNotHelpTheyStay) {
  auto one = Stream("one", 5, 30, {0});
  one.need.deadline = FromMs(100);
  Plan({Core("a", 1)}, {one});
  EXPECT_THAT(Body("a", "one", 150, 4), IsEmpty());
  EXPECT_EQ(placement_.Find("one")->lowered_fps, 0) << "its body alone is too long";
}

TEST_F(ReliefTest, ASlowDeviceIsNoPlaceToGoTo) {
  Plan({Core("a", 1), Core("b", 0.5)}, {Stream("one", 10, 30, {0}), Stream("two", 10, 30, {0})});
  // On b it would take 120 ms, a frame every 100.
  EXPECT_THAT(Body("a", "one", 75, 2), ElementsAre("two"));
  EXPECT_EQ(On("two"), "b") << "60 ms there";
}

TEST_F(ReliefTest, WhereNothingFitsAllStayAndItIsSaidOnce) {
  Plan({Core("a", 1), Core("b", 1)},
       {Stream("one", 10, 45, {0}), Stream("two", 10, 45, {0}), Stream("three", 10, 90, {1})});
  EXPECT_THAT(Body("a", "one", 60, 200), IsEmpty());
  EXPECT_EQ(On("one"), "a");
  EXPECT_EQ(On("two"), "a");
  EXPECT_THAT(
      placement_.FindDevice("a")->overfull,
      HasSubstr("the body of one takes 60 ms there, not 45; not all that it serves ends in "
                "time, and nothing is moved: one does not fit anywhere: lower body from 60"));
  EXPECT_EQ(placement_.events().size(), 3U) << "that, and two lowered rates";
  // Others come and go meanwhile: those on the full device stay.
  ASSERT_TRUE(placement_.Add({}, {Stream("four", 10, 5, {})}, false, now_));
  EXPECT_EQ(On("four"), "b");
  EXPECT_EQ(On("two"), "a");
  // Room elsewhere: now it can.
  placement_.Remove({"three"}, now_);
  EXPECT_THAT(Body("a", "one", 60, 5), ElementsAre("one"));
  EXPECT_EQ(placement_.FindDevice("a")->overfull, "");
  EXPECT_EQ(On("one"), "b");
}

TEST_F(ReliefTest, WhatShrinksAgainIsWithinTheTestAgain) {
  Plan({Core("a", 1)}, {Stream("one", 10, 45, {0}), Stream("two", 10, 45, {0})});
  Body("a", "one", 60, 4);
  EXPECT_NE(placement_.FindDevice("a")->overfull, "");
  Body("a", "one", 45, 10);
  EXPECT_EQ(placement_.FindDevice("a")->overfull, "");
  const auto& said = placement_.events();
  EXPECT_THAT(said, testing::Contains(testing::Field(&PlanInForce::Event::text,
                                                     "a: all that it serves ends in time again")));
}

TEST_F(ReliefTest, AStreamThatMovedStaysForAWhile) {
  Plan({Core("a", 1), Core("b", 1)},
       {Stream("one", 10, 30, {0}), Stream("two", 10, 45, {0}), Stream("three", 10, 20, {1})});
  ASSERT_THAT(Body("a", "one", 60, 2), ElementsAre("one"));
  const TimePoint moved = now_;
  // "b" gets slow at once: of what is there only "three" may go, and that is not enough.
  const DeviceMeasurements slow{.pace = 0.5, .available_gb = 0, .apps = {}};
  EXPECT_THAT(Measure("b", slow, 3), IsEmpty());
  while (now_ - moved < PlanInForce::kLeastStay - kHalf) EXPECT_THAT(Measure("b", slow), IsEmpty());
  // A twentieth of a second under load: never back and forth.
  Measure("b", slow, 20);
  EXPECT_LE(placement_.Find("one")->moves, 2U);
}

TEST_F(ReliefTest, MemoryThatOthersTook) {
  Plan({Core("a", 1, 4), Core("b", 1, 4)},
       {Stream("one", 10, 10, {0}, 1.5), Stream("two", 10, 10, {0}, 1),
        Stream("three", 10, 10, {1}, 1)});
  const DeviceMeasurements less{.pace = 1, .available_gb = 2, .apps = {}};
  EXPECT_EQ(Measure("a", less, 2).size(), 1U);
  EXPECT_THAT(placement_.events().back().text, HasSubstr("a has 2 of its 4 GB left"));
}

}  // namespace
}  // namespace stagger::placement
