// Plans of random sites: checked by what did not make them, simulated, and held against the
// optimum.
#include <gtest/gtest.h>

#include "lab/sim/plan_scenario.h"
#include "lab/sim/random_site.h"
#include "lab/sim/simulate.h"
#include "lab/sim/yardsticks.h"
#include "planner/clp.h"
#include "planner/make_plan.h"

namespace stagger::placement {
namespace {

using planner::NewClp;

StreamNeed Need(double fps, double body, double pre = 0, double post = 0, double memory = 1) {
  return {"s", "s", fps, FromMs(pre), FromMs(body), FromMs(post), {}, memory};
}

PlacementProblem Site(std::vector<StreamNeed> streams, std::vector<PlanDevice> devices) {
  for (std::size_t i = 0; i < streams.size(); ++i) streams[i].name += std::to_string(i);
  return {std::move(streams), std::move(devices)};
}

TEST(Placement, TwoHundredRandomSitesPassTheCheckerAndMissNothingInSimulation) {
  std::int64_t frames = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const sim::NamedMix mix = sim::SiteMixes()[seed % sim::SiteMixes().size()];
    const PlacementProblem site = sim::RandomSite(mix.mix, 5 + seed * 7 % 60, seed);
    planner::PatternBudget budget;
    budget.prove = false;
    budget.dives = 2;
    const Plan plan = planner::MakePlan(site, planner::NewClp, budget).plan;
    SCOPED_TRACE(std::string(mix.name) + ", seed " + std::to_string(seed));
    ASSERT_EQ(FaultOf(site, plan).value_or(""), "");
    ASSERT_EQ(StreamsPlaced(plan), site.streams.size());
    const Plan quick = planner::MakePlan(site).plan;
    ASSERT_EQ(FaultOf(site, quick).value_or(""), "");
    ASSERT_EQ(StreamsPlaced(quick), site.streams.size());
    const auto outcome =
        sim::Simulate(sim::ScenarioOf(site, plan, std::chrono::seconds{3}), seed, 1);
    ASSERT_TRUE(outcome);
    ASSERT_EQ(outcome->all.late, 0);
    ASSERT_EQ(outcome->all.drops, 0);
    frames += outcome->all.frames;
  }
  EXPECT_GT(frames, 50'000);
}

TEST(Placement, SmallSitesTakeAtMostOneDeviceMoreThanTheOptimum) {
  int proven = 0;
  int optimal = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const sim::NamedMix mix = sim::SiteMixes()[seed % sim::SiteMixes().size()];
    const PlacementProblem site = sim::RandomSite(mix.mix, 5 + seed * 3 % 26, seed);
    const Plan plan = planner::MakePlan(site, planner::NewClp).plan;
    const auto used = static_cast<std::uint32_t>(DevicesUsed(plan));
    const auto best = sim::LeastDevices(site, used, 20'000, 2);
    if (!best) continue;
    ++proven;
    optimal += used == best->devices ? 1 : 0;
    EXPECT_LE(used, best->devices + 1) << mix.name << ", seed " << seed;
  }
  EXPECT_GE(proven, 35);
  EXPECT_GE(optimal, proven * 9 / 10);
}

TEST(Placement, FirstFitOnUtilisationMissesDeadlinesWherePlansDoNot) {
  const PlacementProblem site = sim::RandomSite(sim::SiteMix::kTight, 40, 3);
  const auto late = [&](const Plan& plan) {
    return sim::Simulate(sim::ScenarioOf(site, plan, std::chrono::seconds{5}), 1, 1)->all.late;
  };
  EXPECT_GT(late(sim::FirstFitDecreasing(site)), 0);
  EXPECT_EQ(late(planner::MakePlan(site, planner::NewClp).plan), 0);
}

TEST(Placement, AStreamTooHeavyForOneDeviceIsSplit) {
  // 95 ms a frame, a frame every 66 ms.
  const PlacementProblem site =
      Site({Need(15, 60, 5, 30, 3)}, {{"a", 1, 16}, {"b", 1, 16}, {"c", 1, 16}});
  const Plan plan = planner::MakePlan(site, planner::NewClp).plan;
  EXPECT_EQ(plan.streams[0].size(), 2U);
  EXPECT_EQ(FaultOf(site, plan).value_or(""), "");
  const std::vector<DeviceTasks> devices = TasksOf(site, plan);
  EXPECT_EQ(devices[plan.streams[0][0]].memory_gb, 3);
  EXPECT_EQ(devices[plan.streams[0][1]].memory_gb, 3);
}

TEST(Placement, AFastDeviceServesItWhole) {
  const PlacementProblem site =
      Site({Need(15, 60, 5, 30, 3)}, {{"a", 1, 16}, {"b", 1, 16}, {"c", 2, 16}});
  EXPECT_EQ(planner::MakePlan(site, planner::NewClp).plan.streams[0], PlacedOn{2});
}

TEST(Placement, AmongPlansOfAsManyDevicesTheSmallerOnesServe) {
  const PlacementProblem site =
      Site({Need(5, 20), Need(5, 20)}, {{"big", 4, 80}, {"small", 1, 16}, {"mid", 2, 24}});
  const Plan plan = planner::MakePlan(site, planner::NewClp).plan;
  EXPECT_EQ(plan.streams[0], PlacedOn{1});
  EXPECT_EQ(plan.streams[1], PlacedOn{1});
}

TEST(Placement, SpeedDividesEveryPhase) {
  const std::optional<admission::Task> task = PartOn(Need(10, 40, 10, 20), 1, 2);
  ASSERT_TRUE(task);
  EXPECT_EQ(task->body, FromMs(20));
  EXPECT_EQ(task->deadline, FromMs(100 - 15));
  EXPECT_FALSE(PartOn(Need(10, 40, 10, 60), 1, 1));
}

TEST(Placement, WhatDoesNotFitIsLeftOutAndTheRestIsServed) {
  const PlacementProblem site = Site({Need(10, 40), Need(10, 40), Need(10, 40)}, {{"a", 1, 16}});
  const Plan plan = planner::MakePlan(site, planner::NewClp).plan;
  EXPECT_EQ(StreamsPlaced(plan), 2U);
  EXPECT_EQ(FaultOf(site, plan).value_or(""), "");
}

TEST(Placement, KindsOfDevicesDoNotMix) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PlacementProblem site =
        sim::RandomSite(sim::SiteMixes()[seed % sim::SiteMixes().size()].mix, 24, seed);
    const std::vector<PlanDevice> devices = site.devices;
    for (PlanDevice& device : site.devices) device.kind = DeviceKind::kExecutor;
    for (PlanDevice device : devices) {
      device.name += "-g";
      device.kind = DeviceKind::kGpu;
      site.devices.push_back(device);
    }
    for (std::size_t i = 0; i < site.streams.size(); ++i) {
      site.streams[i].kind = i % 2 == 0 ? DeviceKind::kExecutor : DeviceKind::kGpu;
    }
    for (const planner::NewLinearProgram& solver :
         {planner::NewLinearProgram(planner::NewClp), planner::NewLinearProgram()}) {
      Plan plan = planner::MakePlan(site, solver).plan;
      ASSERT_EQ(FaultOf(site, plan).value_or(""), "");
      ASSERT_EQ(StreamsPlaced(plan), site.streams.size());
      // The same devices would do, were they of the other kind.
      for (std::uint32_t& device : plan.streams[0]) {
        const auto half = static_cast<std::uint32_t>(devices.size());
        device = device < half ? device + half : device - half;
      }
      EXPECT_NE(FaultOf(site, plan).value_or("").find("of another kind"), std::string::npos);
      PlacementProblem executors = site;
      executors.devices.resize(devices.size());
      EXPECT_EQ(StreamsPlaced(planner::MakePlan(executors, solver).plan),
                (site.streams.size() + 1) / 2);
    }
  }
}

TEST(Placement, TheCheckerFindsFaults) {
  const PlacementProblem site =
      Site({Need(10, 60), Need(10, 60), Need(1, 1, 0, 0, 9)}, {{"a", 1, 16}, {"b", 1, 16}});
  const auto fault = [&](std::vector<PlacedOn> on) {
    return FaultOf(site, {std::move(on)}).value_or("");
  };
  EXPECT_EQ(fault({{0}, {1}, {}}), "");
  EXPECT_EQ(fault({{0}, {0}, {}}), "a: fails the admission test");
  EXPECT_EQ(fault({{0, 0}, {}, {}}), "s0: two parts on one device");
  EXPECT_EQ(fault({{7}, {}, {}}), "s0: on a device that is not there");
  PlacementProblem heavy = site;
  heavy.streams[0].memory_gb = 17;
  EXPECT_EQ(FaultOf(heavy, {{{0}, {}, {}}}).value_or(""), "a: more than its memory");
  heavy.streams[0] = Need(10, 101);
  EXPECT_EQ(FaultOf(heavy, {{{0}, {}, {}}}).value_or(""), "s: cannot keep its rate on a");
}

TEST(Placement, AStoppedSearchStillGivesAPlan) {
  const PlacementProblem site = sim::RandomSite(sim::SiteMix::kCameras, 200, 1);
  planner::PatternBudget budget;
  budget.enough = [] { return true; };
  const Plan plan = planner::MakePlan(site, planner::NewClp, budget).plan;
  EXPECT_EQ(FaultOf(site, plan).value_or(""), "");
  EXPECT_EQ(StreamsPlaced(plan), 200U);
}

TEST(Placement, SitesOfStreamsThatAreAllDifferentArePlacedInSamples) {
  const PlacementProblem site = sim::RandomSite(sim::SiteMix::kOwn, 700, 1);
  const MadePlan made = planner::MakePlan(site, planner::NewClp);
  EXPECT_EQ(made.method, PlanMethod::kChunks);
  EXPECT_EQ(FaultOf(site, made.plan).value_or(""), "");
  EXPECT_EQ(StreamsPlaced(made.plan), 700U);
}

}  // namespace
}  // namespace stagger::placement
