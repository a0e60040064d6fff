// stagger bench cpu: camera apps on this machine's cores, alternatives side by side.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "console/arguments.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/leg_claims.h"
#include "lab/legs/camera_leg.h"
#include "lab/legs/progress_line.h"

namespace stagger::cli {
namespace {

struct Settings : BenchOptions {
  Settings() : BenchOptions{10, 10} {}
  int cameras = 6;
  std::optional<double> fps;  // unset: found by SizePace
  double work_ms = 8;
  std::optional<int> concurrency;
  std::string legs = "all";
};

// The pace where none is asked for: this part of what the machine does saturated when tuned by
// hand. Much above that nobody could serve every frame, much below nobody would need control.
constexpr double kLoad = 0.8;
constexpr double kSizingSeconds = 5;
// The mixed legs: so many times the cameras, slower ones, and one of them in a hurry.
constexpr int kMixed = 2;
bool IsMixed(const LegPlan& plan) { return plan.tight.has_value(); }
// The slower ones' rate: all together ask for what the paced legs do.
double MixedPace(const Settings& settings, double pace) {
  const double left = std::max(pace * settings.cameras - TightCamera{}.fps, 0.0);
  return std::max(left / (kMixed * settings.cameras - 1), 0.5);
}

std::vector<LegPlan> Plans(const Settings& settings) {
  std::vector<LegPlan> plans;
  const auto add = [&](const std::string& name, int cameras,
                       std::optional<double> fps) -> LegPlan& {
    LegPlan plan;
    plan.name = name;
    plan.cameras = cameras;
    plan.fps = fps;
    plan.seconds = settings.seconds;
    plan.work_ms = settings.work_ms;
    plans.push_back(plan);
    return plans.back();
  };
  const auto control = [&](LegPlan& plan) {
    plan.policy = "fifo";
    plan.concurrency = settings.concurrency;
  };
  add("alone-bare", 1, std::nullopt);
  control(add("alone-controlled", 1, std::nullopt));
  for (const auto& [load, fps] :
       {std::pair<std::string, std::optional<double>>{"saturated", {}}, {"paced", settings.fps}}) {
    add(load + "-uncontrolled", settings.cameras, fps);
    add(load + "-tuned", settings.cameras, fps).tuned = true;
    add(load + "-cooperative", settings.cameras, fps).policy = "off";
    control(add(load + "-controlled", settings.cameras, fps));
    LegPlan& edf = add(load + "-edf", settings.cameras, fps);
    control(edf);
    edf.policy = "edf";
  }
  for (const char* policy : {"fifo", "edf"}) {
    LegPlan& mixed = add(std::string("mixed-") + policy, kMixed * settings.cameras, settings.fps);
    mixed.tight = TightCamera{};
    mixed.policy = policy;
    mixed.concurrency = 1;  // one body at a time, on all cores: where the order matters most
    mixed.work_ms = 0;
  }
  return plans;
}

std::vector<std::string> Names(const std::vector<LegPlan>& plans) {
  std::vector<std::string> names;
  for (const LegPlan& plan : plans) names.push_back(plan.name);
  return names;
}

Result<double> SizePace(const Settings& settings, Workplace& place) {
  LegPlan plan;
  plan.name = "sizing";
  plan.cameras = settings.cameras;
  plan.seconds = kSizingSeconds;
  plan.work_ms = settings.work_ms;
  plan.tuned = true;
  const LegRun run = STAGGER_TRY(RunLeg(plan, {place.installation, place.keeper, place.stop, {}}));
  const double capacity = run.leg.fps.value_or(0);
  if (capacity <= 0) return Error{"the cameras finished no frame while the machine was sized"};
  // Half frames are finer than the machine is steady.
  const double rate = std::floor(2 * kLoad * capacity / settings.cameras) / 2;
  ProgressLine line;
  line.Finish(fmt::format("tuned by hand: {:.1f} fps; paced legs at {:g} fps per camera", capacity,
                          std::max(rate, 0.5)));
  return std::max(rate, 0.5);
}

// Sizes the pace first, if none was asked for.
Result<LegRuns> Measure(Settings* settings, std::vector<LegPlan>* plans, Workplace& place) {
  const auto is_paced = [](const LegPlan& plan) {
    return plan.name.rfind("paced-", 0) == 0 || IsMixed(plan);
  };
  if (!settings->fps && std::ranges::any_of(*plans, is_paced)) {
    settings->fps = STAGGER_TRY(SizePace(*settings, place));
  }
  std::vector<BenchLeg> legs;
  for (LegPlan& plan : *plans) {
    if (is_paced(plan)) plan.fps = settings->fps;
    if (IsMixed(plan)) plan.fps = MixedPace(*settings, *settings->fps);
    legs.push_back(
        {plan.name, [&plan](int, const LegTools& tools) { return RunLeg(plan, tools); }});
  }
  return MeasureInterleaved(legs, settings->repeats, place);
}

BenchReport Report(const Settings& settings, const std::vector<Leg>& legs, const LegRuns& runs) {
  BenchReport report;
  report.text = fmt::format(
      "{} cameras on {} cores, paced at {} fps each, {} repeats of {:g} s, {:g} ms of work per "
      "frame; medians\n\n{}\n",
      settings.cameras, Cores(), Number(settings.fps, 1, 1), settings.repeats, settings.seconds,
      settings.work_ms, LegTable(legs).ToString());
  report.legs = ToJson(legs);
  report.settings = {{"cameras", settings.cameras},
                     {"fps", settings.fps ? nlohmann::ordered_json(*settings.fps) : nullptr},
                     {"seconds", settings.seconds},
                     {"work_ms", settings.work_ms},
                     {"repeats", settings.repeats},
                     {"disturbed", OrNull(MachineDoubt(runs, "alone-bare"))}};
  report.claims = CpuClaims(runs);
  return report;
}

}  // namespace

int BenchCpu(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "Camera apps on this machine's cores: one alone, then several as fast as they can "
      "(saturated-) "
      "and at a rate (paced-); uncontrolled, tuned by hand, cooperative (the agent without turns) "
      "and "
      "controlled; then one camera in a hurry among twice as many slower ones (mixed-). Every leg "
      "runs once per repeat; ratios are taken within a repeat.",
      "stagger bench cpu"};
  AddBenchOptions(app, &settings, {"how often each leg runs", "how long a leg measures"});
  app.add_option("--cameras", settings.cameras, "apps of a contended leg")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option(
         "--fps", settings.fps,
         "each camera's rate in the paced legs; by default 80 % of what the machine can do tuned "
         "by hand")
      ->check(CheckPositive);
  app.add_option("--work-ms", settings.work_ms, "CPU time per frame after its inference")
      ->check(CheckNotNegative)
      ->capture_default_str();
  app.add_option("--concurrency", settings.concurrency, "bodies at once in the controlled legs")
      ->check(CLI::Range(1, 1024));
  app.add_option("--legs", settings.legs, "all, or names separated by commas")
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;
  std::vector<LegPlan> plans = Plans(settings);
  const Result<std::vector<std::string>> names = ChooseLegs(settings.legs, Names(plans));
  if (!names) {
    PrintError("bench cpu: " + names.error().message);
    return kExitUsage;
  }
  std::erase_if(plans, [&](const LegPlan& plan) {
    return std::ranges::find(*names, plan.name) == names->end();
  });
  return RunBench<LegRuns>(
      "cpu", settings.as_json, [&](Workplace& place) { return Measure(&settings, &plans, place); },
      [&](const LegRuns& runs) { return Report(settings, MedianLegs(*names, runs), runs); });
}

}  // namespace stagger::cli
