// stagger bench cpu: camera apps on this machine's cores, alternatives side by side.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/bench.h"
#include "cli/camera_leg.h"
#include "cli/cpu_claims.h"
#include "cli/leg_names.h"
#include "cli/progress_line.h"
#include "cli/table.h"
#include "cli/workplace.h"

namespace stagger::cli {
namespace {

struct Settings {
  int cameras = 6;
  int repeats = 10;
  double seconds = 10;
  std::optional<double> fps;  // unset: found by SizePace
  double work_ms = 8;
  std::optional<int> concurrency;
  std::string legs = "all";
  bool as_json = false;
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

// Whether the arguments are fine; otherwise the reason was printed.
bool KeepChosen(const std::string& list, std::vector<LegPlan>* plans) {
  if (list == "all") return true;
  std::vector<std::string> known;
  for (const LegPlan& plan : *plans) known.push_back(plan.name);
  const Result<std::vector<std::string>> chosen = ChooseLegs(list, known);
  if (!chosen) {
    PrintError("bench cpu: " + chosen.error().message);
    return false;
  }
  plans->erase(std::remove_if(plans->begin(), plans->end(),
                              [&](const LegPlan& plan) {
                                return std::find(chosen->begin(), chosen->end(), plan.name) ==
                                       chosen->end();
                              }),
               plans->end());
  return true;
}

std::string Outcome(const LegRun& run) {
  std::string text = fmt::format("{:<24}", run.leg.name);
  if (run.leg.fps) text += fmt::format(" {:6.1f} fps", *run.leg.fps);
  if (run.leg.inference_ms) {
    text += fmt::format("  mean {:6.1f}  p99 {:6.1f} ms", run.leg.inference_ms->mean,
                        run.leg.inference_ms->p99);
  }
  if (run.leg.drop_ratio) text += fmt::format("  drops {:4.1f} %", *run.leg.drop_ratio * 100);
  if (run.disturbance.disturbed()) {
    text += fmt::format("  disturbed: others used {:.0f} %, {:.0f} % stolen",
                        run.disturbance.foreign_ratio * 100, run.disturbance.stolen_ratio * 100);
  }
  return text;
}

Result<double> SizePace(const Settings& settings, Workplace& place) {
  LegPlan plan;
  plan.name = "sizing";
  plan.cameras = settings.cameras;
  plan.seconds = kSizingSeconds;
  plan.work_ms = settings.work_ms;
  plan.tuned = true;
  const Result<LegRun> run = RunLeg(plan, {place.installation, place.keeper, place.stop, {}});
  if (!run) return run.error();
  const double capacity = run->leg.fps.value_or(0);
  if (capacity <= 0) return Error{"the cameras finished no frame while the machine was sized"};
  // Half frames are finer than the machine is steady.
  const double rate = std::floor(2 * kLoad * capacity / settings.cameras) / 2;
  ProgressLine line;
  line.Finish(fmt::format("tuned by hand: {:.1f} fps; paced legs at {:g} fps per camera", capacity,
                          std::max(rate, 0.5)));
  return std::max(rate, 0.5);
}

// Every leg once per repeat, each repeat starting with another one, so that no leg always follows
// the same neighbour or profits from an early, quiet machine.
Result<LegRuns> Measure(const Settings& settings, const std::vector<LegPlan>& plans,
                        Workplace& place) {
  ProgressLine line;
  LegRuns runs;
  const TimePoint start = Now();
  for (int repeat = 0; repeat < settings.repeats; ++repeat) {
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const LegPlan& plan = plans[(i + static_cast<std::size_t>(repeat)) % plans.size()];
      const std::string where = fmt::format("[{}/{}] {:4.0f} s  ", repeat + 1, settings.repeats,
                                            ToMs(Now() - start) / 1000);
      LegTools tools{place.installation, place.keeper, place.stop, {}};
      if (line.live()) {
        tools.progress = [&](const LegPlan& p, const Progress& progress) {
          line.Update(fmt::format("{}{:<24} {:.0f}/{:g} s, {} frames", where, p.name,
                                  progress.elapsed, p.seconds, progress.frames));
        };
      }
      Result<LegRun> run = RunLeg(plan, tools);
      if (!run) return run.error();
      line.Finish(where + Outcome(*run));
      runs[plan.name].push_back(std::move(run).value());
    }
  }
  return runs;
}

std::vector<Leg> Medians(const std::vector<LegPlan>& plans, const LegRuns& runs) {
  std::vector<Leg> medians;
  for (const LegPlan& plan : plans) {
    std::vector<Leg> legs;
    std::vector<Leg> tight;
    int disturbed = 0;
    for (const LegRun& run : runs.at(plan.name)) {
      legs.push_back(run.leg);
      if (run.tight) tight.push_back(*run.tight);
      if (run.disturbance.disturbed()) ++disturbed;
    }
    for (const std::vector<Leg>& kind : {legs, tight}) {
      if (kind.empty()) continue;
      medians.push_back(MedianLeg(kind));
      medians.back().disturbed_repeats = disturbed;
    }
  }
  return medians;
}

void PrintText(const Settings& settings, const std::vector<Leg>& legs,
               const std::vector<Claim>& claims) {
  const auto number = [](const std::optional<double>& value, double factor, int digits) {
    return value ? fmt::format("{:.{}f}", *value * factor, digits) : std::string("-");
  };
  Table table({"leg", "fps", "min..max", "drops %", "mean ms", "p50", "p99", "max", "body ms",
               "overlap %"});
  for (const Leg& leg : legs) {
    const auto part = [&](double Distribution::*member) {
      return leg.inference_ms ? number((*leg.inference_ms).*member, 1, 1) : "-";
    };
    table.AddRow(
        {leg.name, number(leg.fps, 1, 1),
         leg.fps_spread ? fmt::format("{:.1f}..{:.1f}", leg.fps_spread->min, leg.fps_spread->max)
                        : "-",
         number(leg.drop_ratio, 100, 1), part(&Distribution::mean), part(&Distribution::p50),
         part(&Distribution::p99), part(&Distribution::max),
         leg.body_ms ? number(leg.body_ms->mean, 1, 1) : "-", number(leg.overlap_ratio, 100, 1)});
  }
  fmt::print(
      "{} cameras on {} cores, paced at {} fps each, {} repeats of {:g} s, {:g} ms of work per "
      "frame; medians\n\n",
      settings.cameras, Cores(), number(settings.fps, 1, 1), settings.repeats, settings.seconds,
      settings.work_ms);
  fmt::print("{}\n{}", table.ToString(), claims.empty() ? "" : ToText(claims));
}

void PrintJson(const Settings& settings, const std::vector<Leg>& legs,
               const std::vector<Claim>& claims, const std::string& doubt) {
  nlohmann::ordered_json json;
  json["bench"] = "cpu";
  json["legs"] = nlohmann::ordered_json::array();
  for (const Leg& leg : legs) json["legs"].push_back(ToJson(leg));
  json["device"] = DescribeCpu();
  json["cameras"] = settings.cameras;
  json["fps"] = settings.fps ? nlohmann::ordered_json(*settings.fps) : nullptr;
  json["seconds"] = settings.seconds;
  json["work_ms"] = settings.work_ms;
  json["repeats"] = settings.repeats;
  json["disturbed"] =
      doubt.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(doubt);
  json["claims"] = nlohmann::ordered_json::array();
  for (const Claim& claim : claims) json["claims"].push_back(ToJson(claim));
  fmt::print("{}\n", json.dump(2));
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
  app.add_option("--repeats", settings.repeats, "how often each leg runs")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "how long a leg measures")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
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
  app.add_flag("--json", settings.as_json, "one JSON object instead of tables");
  app.footer("exit code 1: a claim failed (inconclusive ones don't count); 130: stopped by Ctrl-C");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  std::vector<LegPlan> plans = Plans(settings);
  if (!KeepChosen(settings.legs, &plans)) return kExitUsage;

  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const auto is_paced = [](const LegPlan& plan) {
    return plan.name.rfind("paced-", 0) == 0 || IsMixed(plan);
  };
  if (!settings.fps && std::any_of(plans.begin(), plans.end(), is_paced)) {
    const Result<double> pace = SizePace(settings, *place);
    if (!pace) {
      PrintError("bench cpu: " + pace.error().message);
      return place->stop.Raised() ? kExitInterrupted : kExitFailed;
    }
    settings.fps = *pace;
    for (LegPlan& plan : plans) {
      if (is_paced(plan)) plan.fps = pace.value();
    }
  }
  for (LegPlan& plan : plans) {
    if (IsMixed(plan)) plan.fps = MixedPace(settings, *settings.fps);
  }
  const Result<LegRuns> runs = Measure(settings, plans, *place);
  if (!runs) {
    PrintError("bench cpu: " + runs.error().message);
    return place->stop.Raised() ? kExitInterrupted : kExitFailed;
  }
  const std::vector<Leg> legs = Medians(plans, *runs);
  const std::vector<Claim> claims = CpuClaims(*runs);
  if (settings.as_json) {
    PrintJson(settings, legs, claims, MachineDoubt(*runs));
  } else {
    PrintText(settings, legs, claims);
  }
  return ExitCode(claims);
}

}  // namespace stagger::cli
