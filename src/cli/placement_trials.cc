#include "cli/placement_trials.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "core/placement/planner.h"
#include "planner/clp.h"
#include "planner/yardsticks.h"
#include "sim/plan_scenario.h"
#include "sim/random.h"
#include "sim/simulate.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kMostPatterns = 50'000;
constexpr double kMostSolverSeconds = 5;
// Up to so many the long search looks at all streams together even where all are different.
constexpr std::size_t kMostUnsampled = 1'000;

core::PatternBudget Within(double seconds) {
  core::PatternBudget budget;
  const TimePoint end = Now() + FromMs(seconds * 1000);
  budget.enough = [end] { return Now() >= end; };
  return budget;
}

double MsSince(TimePoint start) { return ToMs(Now() - start); }

sim::Tally Simulated(const core::PlacementProblem& site, const core::Plan& plan,
                     const TrialSpec& spec) {
  const sim::Scenario scenario = sim::ScenarioOf(site, plan, FromMs(spec.simulated_s * 1000));
  const Result<sim::Outcome> outcome = sim::Simulate(scenario, spec.seed);
  return outcome ? outcome->all : sim::Tally{};
}

}  // namespace

SiteTrial RunTrial(const TrialSpec& spec) {
  const core::PlacementProblem site = sim::RandomSite(spec.mix, spec.streams, spec.seed);
  SiteTrial trial;
  trial.mix = spec.name;
  trial.streams = spec.streams;
  trial.seed = spec.seed;

  TimePoint start = Now();
  const core::Plan quick = core::MakePlan(site).plan;
  trial.quick_ms = MsSince(start);
  trial.quick_devices = core::DevicesUsed(quick);

  start = Now();
  const core::MadePlan made = core::MakePlan(site, planner::NewClp, Within(spec.budget_s));
  trial.plan_ms = MsSince(start);
  trial.devices = core::DevicesUsed(made.plan);
  trial.unplaced = site.streams.size() - core::StreamsPlaced(made.plan);
  trial.least = made.least_devices;
  trial.fault = core::FaultOf(site, made.plan).value_or("");
  trial.best_known = std::min(trial.devices, trial.quick_devices);

  if (spec.long_search_s > 0) {
    core::PatternBudget budget = Within(spec.long_search_s);
    budget.rounds = 5'000;
    budget.nodes = 20'000;
    budget.dives = 40;
    if (spec.streams <= kMostUnsampled) budget.classes = spec.streams;
    const core::MadePlan better = core::MakePlan(site, planner::NewClp, budget);
    trial.best_known = std::min(trial.best_known, core::DevicesUsed(better.plan));
    trial.least = std::max(trial.least, better.least_devices);
  }
  if (spec.optimum) {
    const auto best = planner::LeastDevices(site, static_cast<std::uint32_t>(trial.devices),
                                            kMostPatterns, kMostSolverSeconds);
    if (best) {
      trial.least = best->devices;
      trial.least_is_optimum = true;
      trial.best_known = best->devices;
    }
  }
  const core::Plan ffd = planner::FirstFitDecreasing(site);
  trial.ffd_devices = core::DevicesUsed(ffd);
  if (spec.simulated_s > 0) {
    const sim::Tally ours = Simulated(site, made.plan, spec);
    trial.frames = ours.frames;
    trial.missed = ours.late + ours.drops;
    const sim::Tally theirs = Simulated(site, ffd, spec);
    trial.ffd_missed_ratio = static_cast<double>(theirs.late + theirs.drops) /
                             static_cast<double>(std::max<std::int64_t>(1, theirs.frames));
  }
  return trial;
}

ChangeTrial RunChanges(sim::SiteMix mix, std::size_t streams, std::uint64_t seed, int changes) {
  const core::PlacementProblem site = sim::RandomSite(mix, streams, seed);
  const core::Plan plan = core::MakePlan(site, planner::NewClp, Within(1)).plan;
  core::Board board(site.devices);
  for (std::uint32_t i = 0; i < site.streams.size(); ++i) {
    board.Add(site.streams[i]);
    board.Put(i, plan.streams[i]);
  }
  ChangeTrial trial;
  sim::Random random(seed);
  for (int i = 0; i < changes; ++i) {
    const auto stream = static_cast<std::uint32_t>(random.Next() % streams);
    core::StreamNeed need = board.needs()[stream];
    const TimePoint start = Now();
    std::vector<core::MovedStream> moved;
    if (i % 3 == 0) {
      need.fps = std::max(1.0, std::floor(need.fps * (0.5 + random.Uniform())));
      moved = board.Change(stream, need);
    } else if (i % 3 == 1) {
      moved = board.Place(board.Add(need));
    } else {
      moved = board.Remove(stream);
    }
    trial.ms.push_back(MsSince(start));
    trial.moved_ratio = std::max(trial.moved_ratio,
                                 static_cast<double>(moved.size()) / static_cast<double>(streams));
  }
  trial.fault = core::FaultOf({board.needs(), board.devices()}, board.plan()).value_or("");
  return trial;
}

}  // namespace stagger::cli
