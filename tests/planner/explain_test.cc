// What a person is told of a plan, and whether it is true.
#include "placement/explain.h"

#include <gmock/gmock.h>

#include "planner/make_plan.h"

namespace stagger::placement {
namespace {

using testing::HasSubstr;

StreamNeed Need(const std::string& name, double fps, double body, double deadline = 0,
                double memory = 1) {
  return {name, name, fps, {}, FromMs(body), {}, FromMs(deadline), memory};
}

TEST(Explain, ABodyThatBlocksAllOthersIsAlone) {
  const PlacementProblem site{{Need("belt", 15, 15, 40), Need("gate", 4, 45)},
                              {{"a", 1, 16}, {"b", 1, 16}}};
  const Plan plan = planner::MakePlan(site).plan;
  EXPECT_EQ(DevicesUsed(plan), 2U);
  EXPECT_EQ(Explainer(site, plan).Reason(1),
            "alone because its body of 45 ms blocks every deadline under 60 ms, and no other body "
            "has more than 40 ms");
  EXPECT_THAT(Explainer(site, plan).Reason(0),
              HasSubstr("alone because its body, due within 40 ms"));
}

TEST(Explain, ASplitIsExplained) {
  StreamNeed need = Need("yard", 15, 60);
  need.pre = FromMs(5);
  need.post = FromMs(30);
  const PlacementProblem site{{need}, {{"a", 1, 16}, {"b", 1, 16}}};
  EXPECT_EQ(Explainer(site, planner::MakePlan(site).plan).Reason(0),
            "split in 2: 95 ms per frame, a frame every 66.7 ms");
}

TEST(Explain, WhatIsAdvisedWouldFit) {
  const PlacementProblem site{{Need("gate", 10, 40), Need("hall", 10, 40), Need("door", 20, 12)},
                              {{"a", 1, 16}}};
  const Plan plan{{{0}, {0}, {}}};
  const std::string reason = Explainer(site, plan).Reason(2);
  EXPECT_THAT(reason, HasSubstr("does not fit anywhere: lower body from 12 to \u2264 9.9"));
  EXPECT_THAT(reason, HasSubstr(", or rate from 20 to \u2264 16."));
  EXPECT_THAT(reason, HasSubstr(", or add one device of speed \u2265 1 like a"));
  const Plan all{{{0}, {0}, {0}}};
  PlacementProblem less = site;
  less.streams[2].body = FromMs(9.9);
  EXPECT_EQ(FaultOf(less, all).value_or(""), "");
  less = site;
  less.streams[2].fps = 16;
  EXPECT_EQ(FaultOf(less, all).value_or(""), "");
  EXPECT_NE(FaultOf(site, all).value_or(""), "");
}

TEST(Explain, DevicesToSplitItAreAskedForWhereThatWouldDo) {
  const PlacementProblem site{{Need("yard", 15, 90)}, {{"a", 1, 16}}};
  EXPECT_THAT(Explainer(site, Plan{{{}}}).Reason(0),
              HasSubstr("add 2 devices of speed \u2265 1 like a, to split it"));
}

TEST(Explain, MemoryIsNamedWhereMemoryIsShort) {
  const PlacementProblem site{{Need("gate", 1, 4, 0, 10), Need("hall", 1, 4, 0, 9)},
                              {{"a", 1, 16}}};
  const Plan plan{{{0}, {}}};
  EXPECT_THAT(Explainer(site, plan).Reason(1), HasSubstr("lower memory from 9 to \u2264 6 GB"));
}

TEST(Explain, AFasterDeviceIsAskedForWhereNoneThereWouldDo) {
  const PlacementProblem site{{Need("fast", 10, 90, 60)}, {{"a", 1, 16}}};
  const Plan plan = planner::MakePlan(site).plan;
  EXPECT_TRUE(plan.streams[0].empty());
  EXPECT_THAT(Explainer(site, plan).Reason(0), HasSubstr("add one device of speed \u2265 1.5"));
}

TEST(Explain, RoomIsCountedAndSaid) {
  const PlacementProblem site{{Need("gate", 4, 45), Need("gate", 4, 45)}, {{"a", 1, 16}}};
  const Plan plan{{{0}, {0}}};
  const std::vector<DeviceTasks> devices = TasksOf(site, plan);
  EXPECT_EQ(RoomFor(site, devices[0], 0, 0, 20), 3U);
  EXPECT_EQ(InWords(site, {0, 1}, 20), "one more 4 fps gate camera fits; two need another GPU");
  EXPECT_EQ(InWords(site, {0, 0}, 20), "no more 4 fps gate camera fits");
}

TEST(Explain, TheMarginIsWhatBodiesMayGrowBy) {
  const std::vector<admission::Task> tasks{{FromMs(100), FromMs(40), FromMs(100), {}},
                                           {FromMs(100), FromMs(40), FromMs(100), {}}};
  const Margin margin = MarginOf(tasks);
  EXPECT_NEAR(margin.growth, 0.25, 0.01);
  EXPECT_TRUE(margin.binding);
}

}  // namespace
}  // namespace stagger::placement
