// stagger bench placement: plans of random sites against what there is to hold them against: the
// optimum, a long search, and first-fit decreasing.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/legs/machine.h"
#include "lab/legs/progress_line.h"
#include "lab/sim/plan_scenario.h"
#include "lab/sim/random.h"
#include "lab/sim/random_site.h"
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

struct SiteTrial {
  std::string mix;
  std::size_t streams = 0;
  std::uint64_t seed = 0;
  double quick_ms = 0;  // the greedy rule alone
  double plan_ms = 0;
  std::size_t quick_devices = 0;
  std::size_t devices = 0;
  std::size_t unplaced = 0;
  std::uint32_t least = 0;  // bound, or the optimum where that was asked for; 0: not known
  bool least_is_optimum = false;
  std::size_t best_known = 0;  // of this plan, a longer search, and the quick one
  std::string fault;           // empty: every device passes
  std::int64_t frames = 0;     // simulated
  std::int64_t missed = 0;     // late or dropped
  std::size_t ffd_devices = 0;
  double ffd_missed_ratio = 0;
};

struct TrialSpec {
  sim::SiteMix mix = sim::SiteMix::kCameras;
  std::string name;
  std::size_t streams = 0;
  std::uint64_t seed = 1;
  double budget_s = 1;       // of the plan
  double long_search_s = 0;  // 0: none
  bool optimum = false;
  double simulated_s = 0;  // 0: not simulated
};

struct ChangeTrial {
  std::vector<double> ms;  // of each change
  double moved_ratio = 0;  // of all streams, most in one change
  std::string fault;
};

sim::Tally Simulated(const placement::PlacementProblem& site, const placement::Plan& plan,
                     const TrialSpec& spec) {
  const sim::Scenario scenario = sim::ScenarioOf(site, plan, FromMs(spec.simulated_s * 1000));
  const Result<sim::Outcome> outcome = sim::Simulate(scenario, spec.seed);
  return outcome ? outcome->all : sim::Tally{};
}

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

// That many streams more, one at a time, to a plan of that many.
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
    placement::StreamNeed need = board.needs()[random.Next() % streams];
    need.fps = std::max(1.0, std::floor(need.fps * (0.5 + random.Uniform())));
    const TimePoint start = Now();
    const std::vector<placement::MovedStream> moved = board.Place(board.Add(need));
    trial.ms.push_back(MsSince(start));
    trial.moved_ratio = std::max(trial.moved_ratio,
                                 static_cast<double>(moved.size()) / static_cast<double>(streams));
  }
  trial.fault = placement::FaultOf({board.needs(), board.devices()}, board.plan()).value_or("");
  return trial;
}

constexpr std::size_t kSizes[] = {10, 30, 100, 300, 1'000, 10'000, 100'000};

struct Settings {
  int sites = 200;
  int repeats = 3;
  int changes = 300;
  std::size_t most = 100'000;
  double simulated_s = 10;
  double long_search_s = 10;
  bool as_json = false;
};

struct Findings {
  std::vector<SiteTrial> random;  // many small ones, simulated
  std::vector<SiteTrial> sized;   // per size and mix
  std::map<std::size_t, ChangeTrial> changes;
};

// How long a plan of that many streams may be looked for.
double BudgetFor(std::size_t streams) { return streams <= 1'000 ? 0.8 : 5; }

Findings Measure(const Settings& settings) {
  Findings findings;
  ProgressLine line;
  const auto mixes = sim::SiteMixes();
  for (int i = 0; i < settings.sites; ++i) {
    const auto seed = static_cast<std::uint64_t>(i) + 1;
    const sim::NamedMix& mix = mixes[static_cast<std::size_t>(i) % mixes.size()];
    TrialSpec spec{mix.mix, std::string(mix.name), 5 + seed * 13 % 120, seed};
    spec.budget_s = 0.3;
    spec.simulated_s = settings.simulated_s;
    spec.optimum = spec.streams <= 30;
    findings.random.push_back(RunTrial(spec));
    line.Update(fmt::format("random sites: {}/{}", i + 1, settings.sites));
  }
  line.Finish(fmt::format("{} random sites", settings.sites));
  for (const std::size_t size : kSizes) {
    if (size > settings.most) break;
    for (const sim::NamedMix& mix : mixes) {
      for (int repeat = 1; repeat <= (size > 10'000 ? 1 : settings.repeats); ++repeat) {
        TrialSpec spec{mix.mix, std::string(mix.name), size, static_cast<std::uint64_t>(repeat)};
        spec.budget_s = BudgetFor(size);
        spec.optimum = size <= 30;
        spec.long_search_s = size >= 300 ? settings.long_search_s : 0;
        spec.simulated_s = size <= 1'000 ? settings.simulated_s : size <= 10'000 ? 2 : 0;
        findings.sized.push_back(RunTrial(spec));
        line.Update(fmt::format("{} streams, {}", size, mix.name));
      }
    }
    line.Finish(fmt::format("sites of {} streams", size));
  }
  for (const std::size_t size : {std::size_t{1'000}, std::size_t{100'000}}) {
    if (size > settings.most) break;
    findings.changes[size] = RunChanges(sim::SiteMix::kCameras, size, 1, settings.changes);
    line.Finish(fmt::format("{} changes to {} streams", settings.changes, size));
  }
  return findings;
}

Claim Most(const std::string& name, const std::vector<double>& values, double limit) {
  const double worst =
      values.empty() ? std::numeric_limits<double>::quiet_NaN() : *std::ranges::max_element(values);
  return Judge(name, {{worst, false}}, Bound::kAtMost, limit);
}

std::vector<Claim> Claims(const Findings& findings) {
  double faults = 0;
  double missed = 0;
  double ffd_missing = 0;
  double ffd_simulated = 0;
  std::vector<double> over_optimum;
  std::vector<double> over_best;
  std::map<std::size_t, std::vector<Paired>> seconds;
  for (const auto* trials : {&findings.random, &findings.sized}) {
    for (const SiteTrial& trial : *trials) {
      faults += trial.fault.empty() && trial.unplaced == 0 ? 0 : 1;
      missed += static_cast<double>(trial.missed);
      ffd_missing += trial.ffd_missed_ratio > 0 ? 1 : 0;
      ffd_simulated += trial.frames > 0 ? 1 : 0;
      const auto devices = static_cast<double>(trial.devices);
      if (trial.least_is_optimum) over_optimum.push_back(devices - trial.least);
      if (trial.streams >= 300) {
        over_best.push_back(devices / static_cast<double>(trial.best_known));
        seconds[trial.streams].push_back({trial.plan_ms / 1000, false});
      }
    }
  }
  std::vector<Claim> claims;
  claims.push_back(Most("sites whose plan fails the checker", {faults}, 0));
  claims.push_back(Most("frames of all plans late or dropped in simulation", {missed}, 0));
  claims.push_back(Judge("share of sites where first-fit on utilisation misses frames",
                         {{ffd_missing / std::max(1.0, ffd_simulated), false}}, Bound::kAtLeast,
                         0.2));
  claims.push_back(Most("devices over the optimum, worst of sites to 30 streams", over_optimum, 1));
  claims.push_back(Most("devices / best known, worst of sites from 300 streams", over_best, 1.03));
  if (seconds.contains(1'000)) {
    claims.push_back(Judge("seconds to plan 1 000 streams", seconds[1'000], Bound::kAtMost, 1));
  }
  if (seconds.contains(100'000)) {
    claims.push_back(
        Judge("seconds to plan 100 000 streams", seconds[100'000], Bound::kAtMost, 10));
  }
  for (const auto& [size, trial] : findings.changes) {
    std::vector<Paired> ms;
    for (const double value : trial.ms) ms.push_back({value, false});
    claims.push_back(
        Judge(fmt::format("ms for one change, {} streams", size), ms, Bound::kAtMost, 10));
    claims.push_back(Most(fmt::format("share of {} streams moved by one change, worst", size),
                          {trial.moved_ratio}, 0.02));
    claims.push_back(Most(fmt::format("{} streams after all changes: plan fails the checker", size),
                          {trial.fault.empty() ? 0.0 : 1.0}, 0));
  }
  return claims;
}

nlohmann::ordered_json ToJson(const SiteTrial& trial) {
  nlohmann::ordered_json json{{"name", fmt::format("{}-{}", trial.mix, trial.streams)},
                              {"mix", trial.mix},
                              {"streams", trial.streams},
                              {"seed", trial.seed},
                              {"devices", trial.devices},
                              {"devices_quick", trial.quick_devices},
                              {"devices_best_known", trial.best_known}};
  json["devices_least"] = nullptr;
  if (trial.least > 0) json["devices_least"] = trial.least;
  json["least_is_optimum"] = trial.least_is_optimum;
  json["devices_first_fit"] = trial.ffd_devices;
  json["first_fit_miss_ratio"] = nullptr;
  json["miss_ratio"] = nullptr;
  if (trial.frames > 0) {
    json["first_fit_miss_ratio"] = trial.ffd_missed_ratio;
    json["miss_ratio"] = static_cast<double>(trial.missed) / static_cast<double>(trial.frames);
  }
  json["plan_ms"] = trial.plan_ms;
  json["quick_ms"] = trial.quick_ms;
  json["fault"] = trial.fault;
  return json;
}

std::string Of(const std::vector<double>& values, const char* format) {
  const Spread spread = *SpreadOf(values);
  std::string middle = fmt::format(fmt::runtime(format), spread.median);
  if (spread.min == spread.max) return middle;
  return fmt::format("{} ({}..{})", middle, fmt::format(fmt::runtime(format), spread.min),
                     fmt::format(fmt::runtime(format), spread.max));
}

std::string SizesText(const Findings& findings) {
  std::map<std::pair<std::size_t, std::string>, std::vector<const SiteTrial*>> rows;
  for (const SiteTrial& trial : findings.sized) rows[{trial.streams, trial.mix}].push_back(&trial);
  Table table({"streams", "mix", "devices", "best known", "at least", "quick", "first fit",
               "it misses %", "plan ms", "quick ms"});
  for (const auto& [key, trials] : rows) {
    const auto of = [&trials = trials](auto value, const char* format = "{:.0f}") {
      std::vector<double> values;
      values.reserve(trials.size());
      for (const SiteTrial* trial : trials) values.push_back(static_cast<double>(value(*trial)));
      return Of(values, format);
    };
    const bool simulated = trials.front()->frames > 0;
    table.AddRow(
        {std::to_string(key.first), key.second, of([](const SiteTrial& t) { return t.devices; }),
         of([](const SiteTrial& t) { return t.best_known; }),
         of([](const SiteTrial& t) { return t.least; }),
         of([](const SiteTrial& t) { return t.quick_devices; }),
         of([](const SiteTrial& t) { return t.ffd_devices; }),
         simulated ? of([](const SiteTrial& t) { return t.ffd_missed_ratio * 100; }, "{:.1f}")
                   : "-",
         of([](const SiteTrial& t) { return t.plan_ms; }),
         of([](const SiteTrial& t) { return t.quick_ms; }, "{:.1f}")});
  }
  return table.ToString();
}

BenchReport Report(const Settings& settings, const Findings& findings) {
  BenchReport report;
  report.text = fmt::format(
      "{} random sites of 5 to 124 streams, then sizes; medians over {} sites each "
      "(least..most)\n\n{}\n",
      settings.sites, settings.repeats, SizesText(findings));
  for (const SiteTrial& trial : findings.sized) report.legs.push_back(ToJson(trial));
  nlohmann::ordered_json& random = report.settings["random_sites"] =
      nlohmann::ordered_json::array();
  for (const SiteTrial& trial : findings.random) random.push_back(ToJson(trial));
  report.settings["repeats"] = settings.repeats;
  report.claims = Claims(findings);
  return report;
}

}  // namespace

int BenchPlacement(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "Plans of random sites, from a seed each: every device checked by the exact test, simulated, "
      "and held against the optimum (small sites), a long search and the linear bound (large "
      "ones), "
      "and first-fit decreasing on utilisation; then the cost of one change.",
      "stagger bench placement"};
  app.add_option("--sites", settings.sites, "small random sites")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  AddRepeats(app, &settings.repeats, "sites per size and mix", &settings.as_json);
  app.add_option("--changes", settings.changes, "of one stream, to a plan in force")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--most", settings.most, "streams of the largest site")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_option("--seconds", settings.simulated_s, "simulated per site")
      ->check(CheckPositive)
      ->capture_default_str();
  app.add_option("--search", settings.long_search_s, "seconds of the long search")
      ->check(CheckPositive)
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;
  return PrintReport("placement", settings.as_json, Report(settings, Measure(settings)));
}

}  // namespace stagger::cli
