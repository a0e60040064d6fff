// Devices whose memory is short of their models: what loads cost is counted, only where it saves a
// device, and nothing is late on an executor that unloads the model least recently needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "lab/sim/plan_scenario.h"
#include "lab/sim/random.h"
#include "lab/sim/simulate.h"
#include "placement/explain.h"
#include "planner/clp.h"
#include "planner/make_plan.h"

namespace stagger::placement {
namespace {

using planner::NewClp;
using testing::HasSubstr;

StreamNeed Need(double fps, double body, double load, double memory) {
  StreamNeed need{"s", "s", fps, {}, FromMs(body), {}, {}, memory};
  need.load = FromMs(load);
  return need;
}

PlacementProblem Site(std::vector<StreamNeed> streams, std::vector<PlanDevice> devices) {
  for (std::size_t i = 0; i < streams.size(); ++i) streams[i].name += std::to_string(i);
  return {std::move(streams), std::move(devices)};
}

TEST(Swap, LoadsSaveADeviceWhereThereIsTimeForThem) {
  // 2 x 3 GB of 4; each second 50 ms of body and 200 ms of load.
  PlacementProblem site =
      Site({Need(1, 50, 200, 3), Need(1, 50, 200, 3)}, {{"x", 1, 4}, {"y", 1, 4}});
  MadePlan made = planner::MakePlan(site, planner::NewClp);
  EXPECT_EQ(FaultOf(site, made.plan).value_or(""), "");
  EXPECT_EQ(DevicesUsed(made.plan), 1U);
  EXPECT_TRUE(TasksOf(site, made.plan)[made.plan.streams[0][0]].swaps);
  EXPECT_THAT(Explainer(site, made.plan).Reason(0), HasSubstr("each may have to be loaded first"));
  // No load stated, no swapping; nor where loads take too long; nor what exceeds the memory alone.
  for (const StreamNeed& other : {Need(1, 50, 0, 3), Need(1, 50, 760, 3)}) {
    site.streams[1] = other;
    made = planner::MakePlan(site, planner::NewClp);
    EXPECT_EQ(DevicesUsed(made.plan), 2U);
    EXPECT_EQ(StreamsPlaced(made.plan), 2U);
  }
  site.streams[1] = Need(1, 50, 200, 5);
  EXPECT_EQ(StreamsPlaced(planner::MakePlan(site, planner::NewClp).plan), 1U);
  // Apps on GPUs hold their models themselves.
  site.streams[1] = Need(1, 50, 200, 3);
  for (PlanDevice& device : site.devices) device.kind = DeviceKind::kGpu;
  EXPECT_EQ(DevicesUsed(planner::MakePlan(site, planner::NewClp).plan), 2U);
}

TEST(Swap, OnlyWhereItSavesADevice) {
  // Two devices are needed for the time they take: with them memory is enough.
  const PlacementProblem site =
      Site({Need(1, 450, 20, 3), Need(1, 450, 20, 1), Need(1, 450, 20, 3), Need(1, 450, 20, 1)},
           {{"x", 1, 4}, {"y", 1, 4}, {"z", 1, 4}});
  const Plan plan = planner::MakePlan(site, planner::NewClp).plan;
  EXPECT_EQ(DevicesUsed(plan), 2U);
  for (const DeviceTasks& device : TasksOf(site, plan)) EXPECT_FALSE(device.swaps);
}

TEST(Swap, APlanInForceSwapsForWhoHasNoOtherPlace) {
  PlacementProblem site =
      Site({Need(1, 50, 200, 3), Need(1, 50, 200, 3)}, {{"x", 1, 4}, {"y", 1, 4}});
  EXPECT_EQ(DevicesUsed(KeepPlan(site, {{{0}, {}}}).plan), 2U) << "there is another";
  site.devices.pop_back();
  const MadePlan kept = KeepPlan(site, {{{0}, {}}});
  EXPECT_EQ(StreamsPlaced(kept.plan), 2U);
  EXPECT_EQ(FaultOf(site, kept.plan).value_or(""), "");
  EXPECT_TRUE(KeepPlan(site, kept.plan).moved.empty()) << "and stays so";
}

// An executor as it is: the request that is due first, its model loaded first where it is not
// there, the one least recently needed unloaded for it. How many results are late.
int LateOn(const PlanDevice& device, const PlacementProblem& site, const DeviceTasks& serves,
           std::uint64_t seed, int* loads) {
  struct Request {
    double due;
    double ready;
    std::size_t of;
  };
  sim::Random random(seed);
  std::vector<Request> coming;
  std::map<std::size_t, double> needed;  // loaded models, and when last needed
  for (std::size_t i = 0; i < serves.tasks.size(); ++i) {
    const admission::Task& task = serves.tasks[i];
    const double period = ToMs(task.period);
    for (double at = random.Uniform() * period; at < 60'000; at += period) {
      coming.push_back({at + ToMs(task.deadline), at, i});
    }
  }
  std::ranges::sort(coming, {}, &Request::ready);
  std::vector<Request> waiting;
  double now = 0;
  int late = 0;
  for (std::size_t next = 0; next < coming.size() || !waiting.empty();) {
    if (waiting.empty()) now = std::max(now, coming[next].ready);
    while (next < coming.size() && coming[next].ready <= now) waiting.push_back(coming[next++]);
    const auto first = std::ranges::min_element(waiting, {}, &Request::due);
    const Request request = *first;
    waiting.erase(first);
    const StreamNeed& need = site.streams[serves.streams[request.of]];
    const auto memory = [&] {
      double sum = need.memory_gb;
      for (const auto& [of, when] : needed) sum += site.streams[serves.streams[of]].memory_gb;
      return sum;
    };
    if (!needed.contains(request.of)) {
      while (memory() > device.memory_gb + kMemorySlack) {
        needed.erase(
            std::ranges::min_element(needed, {}, [](const auto& entry) { return entry.second; }));
      }
      now += ToMs(need.load) / device.speed;
      ++*loads;
    }
    now += ToMs(need.body) / device.speed;
    needed[request.of] = now;
    late += now > request.due + 1e-3;
  }
  return late;
}

TEST(Swap, RandomSitesMissNothingOnExecutorsThatUnloadTheLeastRecentlyNeeded) {
  int loads = 0;
  int swapping = 0;
  std::int64_t frames = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    sim::Random random(seed);
    std::vector<StreamNeed> streams;
    for (int i = 0; i < 12; ++i) {
      const double fps = 0.2 + 4 * random.Uniform();
      streams.push_back(Need(fps, 5 + 25 * random.Uniform(), 10 + 90 * random.Uniform(),
                             0.5 + 2.5 * random.Uniform()));
    }
    const PlacementProblem site = Site(streams, {{"w", 1, 4},
                                                 {"x", 1, 4},
                                                 {"y", 0.5, 8},
                                                 {"z", 2, 3},
                                                 {"v", 1, 4},
                                                 {"u", 1, 4},
                                                 {"t", 1, 4}});
    planner::PatternBudget budget;
    budget.prove = false;
    budget.dives = 2;
    const Plan plan = planner::MakePlan(site, planner::NewClp, budget).plan;
    SCOPED_TRACE(seed);
    ASSERT_EQ(FaultOf(site, plan).value_or(""), "");
    ASSERT_EQ(StreamsPlaced(plan), site.streams.size());
    const std::vector<DeviceTasks> devices = TasksOf(site, plan);
    for (std::size_t i = 0; i < devices.size(); ++i) {
      if (!devices[i].swaps) continue;
      ++swapping;
      for (std::uint64_t phases = 0; phases < 5; ++phases) {
        EXPECT_EQ(LateOn(site.devices[i], site, devices[i], seed * 100 + phases, &loads), 0);
      }
    }
    // And on the simulated engine, each body with its load.
    const auto outcome =
        sim::Simulate(sim::ScenarioOf(site, plan, std::chrono::seconds{20}), seed, 1);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->all.late, 0);
    frames += outcome->all.frames;
  }
  EXPECT_GT(swapping, 20);
  EXPECT_GT(loads, 1000) << "it is not for nothing";
  EXPECT_GT(frames, 1000);
}

}  // namespace
}  // namespace stagger::placement
