#include "lab/bench/placement/placement_trials.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "lab/sim/plan_scenario.h"
#include "lab/sim/random.h"
#include "lab/sim/simulate.h"
#include "lab/sim/yardsticks.h"
#include "planner/clp.h"
#include "planner/make_plan.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kMostPatterns = 50'000;
constexpr double kMostSolverSeconds = 5;
// Up to so many the long search looks at all streams together even where all are different.
constexpr std::size_t kMostUnsampled = 1'000;

planner::PatternBudget Within(double seconds) {
  planner::PatternBudget budget;
  const TimePoint end = Now() + FromMs(seconds * 1000);
  budget.enough = [end] { return Now() >= end; };
  return budget;
}

double MsSince(TimePoint start) { return ToMs(Now() - start); }

sim::Tally Simulated(const placement::PlacementProblem& site, const placement::Plan& plan,
                     const TrialSpec& spec) {
  const sim::Scenario scenario = sim::ScenarioOf(site, plan, FromMs(spec.simulated_s * 1000));
  const Result<sim::Outcome> outcome = sim::Simulate(scenario, spec.seed);
  return outcome ? outcome->all : sim::Tally{};
}

}  // namespace

SiteTrial RunTrial(const TrialSpec& spec) {
  const placement::PlacementProblem site = sim::RandomSite(spec.mix, spec.streams, spec.seed);
  SiteTrial trial;
  trial.mix = spec.name;
  trial.streams = spec.streams;
  trial.seed = spec.seed;

  TimePoint start = Now();
  const placement::Plan quick = planner::MakePlan(site).plan;
  trial.quick_ms = MsSince(start);
  trial.quick_devices = placement::DevicesUsed(quick);

  start = Now();
  const placement::MadePlan made = planner::MakePlan(site, planner::NewClp, Within(spec.budget_s));
  trial.plan_ms = MsSince(start);
  trial.devices = placement::DevicesUsed(made.plan);
  trial.unplaced = site.streams.size() - placement::StreamsPlaced(made.plan);
  trial.least = made.least_devices;
  trial.fault = placement::FaultOf(site, made.plan).value_or("");
  trial.best_known = std::min(trial.devices, trial.quick_devices);

  if (spec.long_search_s > 0) {
    planner::PatternBudget budget = Within(spec.long_search_s);
    budget.rounds = 5'000;
    budget.nodes = 20'000;
    budget.dives = 40;
    if (spec.streams <= kMostUnsampled) budget.classes = spec.streams;
    const placement::MadePlan better = planner::MakePlan(site, planner::NewClp, budget);
    trial.best_known = std::min(trial.best_known, placement::DevicesUsed(better.plan));
    trial.least = std::max(trial.least, better.least_devices);
  }
  if (spec.optimum) {
    const auto best = sim::LeastDevices(site, static_cast<std::uint32_t>(trial.devices),
                                        kMostPatterns, kMostSolverSeconds);
    if (best) {
      trial.least = best->devices;
      trial.least_is_optimum = true;
      trial.best_known = best->devices;
    }
  }
  const placement::Plan ffd = sim::FirstFitDecreasing(site);
  trial.ffd_devices = placement::DevicesUsed(ffd);
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
  const placement::PlacementProblem site = sim::RandomSite(mix, streams, seed);
  const placement::Plan plan = planner::MakePlan(site, planner::NewClp, Within(1)).plan;
  placement::Board board(site.devices);
  for (std::uint32_t i = 0; i < site.streams.size(); ++i) {
    board.Add(site.streams[i]);
    board.Put(i, plan.streams[i]);
  }
  ChangeTrial trial;
  sim::Random random(seed);
  for (int i = 0; i < changes; ++i) {
    const auto stream = static_cast<std::uint32_t>(random.Next() % streams);
    placement::StreamNeed need = board.needs()[stream];
    const TimePoint start = Now();
    std::vector<placement::MovedStream> moved;
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
  trial.fault = placement::FaultOf({board.needs(), board.devices()}, board.plan()).value_or("");
  return trial;
}

}  // namespace stagger::cli
