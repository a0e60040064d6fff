// stagger bench t4: the paper's experiment, with real processes on the virtual T4.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "console/arguments.h"
#include "console/sentences.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/leg_claims.h"
#include "lab/bench/t4/cuda_leg.h"
#include "lab/bench/t4/t4_plan.h"

namespace stagger::cli {
namespace {

struct Settings : BenchOptions {
  Settings() : BenchOptions{5, 20} {}
  std::uint64_t seed = 1;
  std::string legs = "all";
};

// What was tried for a leg besides what was kept.
struct Tried {
  int percentage = 0;
  Leg leg;
};

struct Report {
  LegRuns runs;  // a leg with a percentage stands for its best
  std::vector<Leg> legs;
  std::map<std::string, int> percentage;            // by leg
  std::map<std::string, std::vector<Tried>> tried;  // by leg: what was not kept
};

// What the simulator says too. Differences are relative, but for the drop ratio, which may be 0.
struct Part {
  const char* name;
  std::optional<double> (*of)(const Leg&);
  bool relative;
};
constexpr Part kFps{"fps", [](const Leg& leg) { return leg.fps; }, true};
constexpr Part kDrops{"drop_ratio", [](const Leg& leg) { return leg.drop_ratio; }, false};
constexpr Part kMean{"inference_mean_ms", [](const Leg& leg) { return MeanOf(leg.inference_ms); },
                     true};
constexpr Part kBody{"body_mean_ms", [](const Leg& leg) { return MeanOf(leg.body_ms); }, true};

// Medians over the repeats, of what the simulator says and of how far what was measured is off.
struct Beside {
  std::optional<double> simulated;
  std::optional<double> difference;
};
Beside BesideSimulator(const std::vector<LegRun>& runs, const Part& part) {
  std::vector<double> simulated;
  std::vector<double> differences;
  for (const LegRun& run : runs) {
    const auto measured = part.of(run.leg);
    const auto said = run.simulated ? part.of(*run.simulated) : std::nullopt;
    if (!measured || !said) continue;
    simulated.push_back(*said);
    if (part.relative && *said == 0) continue;
    differences.push_back(part.relative ? *measured / *said - 1 : *measured - *said);
  }
  return {Median(std::move(simulated)), Median(std::move(differences))};
}

double WarmupSeconds(const LegRun& run) { return ToMs(run.warmup) / 1000; }

Report Collect(const std::vector<std::string>& names, LegRuns runs) {
  Report report;
  for (const std::string& name : names) {
    const std::vector<std::string> variants = T4Variants(name);
    if (variants.size() == 1) continue;
    const std::string best = BestVariant(variants, runs);
    report.percentage[name] = PercentageOf(best);
    for (const std::string& variant : variants) {
      if (variant == best) continue;
      report.tried[name].push_back({PercentageOf(variant), MedianLegs({variant}, runs).front()});
    }
    runs[name] = runs.at(best);
    for (LegRun& run : runs[name]) run.leg.name = name;
  }
  report.legs = MedianLegs(names, runs);
  report.runs = std::move(runs);
  return report;
}

std::string TriedText(const Report& report) {
  std::string text;
  for (const auto& [name, percentage] : report.percentage) {
    text += fmt::format("{}: {} % each", name, percentage);
    for (const Tried& tried : report.tried.at(name)) {
      text += fmt::format("; with {} %: {} fps, mean {} ms", tried.percentage,
                          Number(tried.leg.fps, 1, 1), Number(kMean.of(tried.leg), 1, 1));
      if (tried.leg.drop_ratio)
        text += fmt::format(", drops {:.1f} %", *tried.leg.drop_ratio * 100);
    }
    text += "\n";
  }
  return text.empty() ? text : text + "\n";
}

std::string Text(const Settings& settings, const vgpu::Model& model, const Report& report) {
  const std::vector<std::string> headers{"sim fps", "diff %", "sim drops %",
                                         "diff",    "sim ms", "diff %"};
  std::vector<std::vector<std::string>> more;
  std::vector<double> warmups;
  for (const Leg& leg : report.legs) {
    const std::vector<LegRun>& runs = report.runs.at(leg.name);
    std::vector<std::string>& cells = more.emplace_back();
    for (const Part& part : {kFps, kDrops, kMean}) {
      const Beside beside = BesideSimulator(runs, part);
      cells.push_back(Number(beside.simulated, part.relative ? 1 : 100, 1));
      cells.push_back(beside.difference ? fmt::format("{:+.1f}", *beside.difference * 100) : "-");
    }
    warmups.push_back(MedianOf(runs, WarmupSeconds));
  }
  const auto [shortest, longest] = std::ranges::minmax(warmups);
  return fmt::format(
      "{} on {} cores, bodies of {:.1f} ms, post phases of {:.1f} ms; {} repeats of {:g} s after a "
      "warm-up of {} inferences per app ({:.1f} to {:.1f} s); medians\n\n{}\n{}",
      model.name, Cores(), ToMs(model.kernels.at("body").cost), ToMs(model.kernels.at("post").cost),
      settings.repeats, settings.seconds, CudaLegPlan{}.warmup, shortest, longest,
      LegTable(report.legs, headers, more).ToString(), TriedText(report));
}

nlohmann::ordered_json LegJson(const Leg& leg, const Report& report) {
  const std::vector<LegRun>& runs = report.runs.at(leg.name);
  nlohmann::ordered_json json = ToJson(leg);
  const auto median = [&runs](auto value) { return OrNull(MedianOf(runs, value)); };
  json["warmup_s"] = median(WarmupSeconds);
  json["expired"] = nullptr;
  if (runs.front().expired) {
    json["expired"] =
        median([](const LegRun& run) { return static_cast<double>(run.expired.value_or(0)); });
  }
  json["device_late_ms_p99"] = median([](const LegRun& run) { return ToMs(run.lateness->p99); });
  json["device_late_ratio"] = median([](const LegRun& run) { return run.lateness->late_ratio; });
  for (const Part& part : {kFps, kDrops, kMean, kBody}) {
    const Beside beside = BesideSimulator(runs, part);
    json["simulated"][part.name] = OrNull(beside.simulated);
    json["difference"][part.name] = OrNull(beside.difference);
  }
  if (const auto found = report.percentage.find(leg.name); found != report.percentage.end()) {
    json["percentage"] = found->second;
    nlohmann::ordered_json& rest = json["percentages_not_kept"] = nlohmann::ordered_json::array();
    for (const Tried& tried : report.tried.at(leg.name)) {
      rest.push_back({{"percentage", tried.percentage},
                      {"fps", OrNull(tried.leg.fps)},
                      {"drop_ratio", OrNull(tried.leg.drop_ratio)}});
    }
  }
  return json;
}

BenchReport ReportOf(const Settings& settings, const vgpu::Model& model, const Report& report) {
  BenchReport shown;
  shown.text = Text(settings, model, report);
  for (const Leg& leg : report.legs) shown.legs.push_back(LegJson(leg, report));
  shown.device = {
      {"name", "gpu:0"},         {"model", model.name},     {"sigma", model.contention.sigma},
      {"w", model.contention.w}, {"g", model.contention.g}, {"cpu", DescribeCpu()}};
  shown.settings = {{"body_ms", OrNull(ToMs(model.kernels.at("body").cost))},
                    {"post_ms", OrNull(ToMs(model.kernels.at("post").cost))},
                    {"warmup_inferences", CudaLegPlan{}.warmup},
                    {"seconds", settings.seconds},
                    {"repeats", settings.repeats},
                    {"seed", settings.seed},
                    {"disturbed", OrNull(MachineDoubt(report.runs, "alone"))}};
  shown.claims = T4Claims(report.runs);
  return shown;
}

}  // namespace

int BenchT4(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "The paper's experiment with real processes, the real daemon and agents, on the virtual T4: "
      "one app alone, as fast as it can; 4 cameras x 4 fps, all at once (sync-, 10 ms of the app's "
      "own work) and at the same random phases (any-, 27 ms); 8 apps that are always busy "
      "(saturated-). Each uncontrolled, with starts 60 ms apart (spaced60), and controlled; and, "
      "as another baseline, with the percentage limits of MPS. Every leg runs once per repeat; "
      "ratios are taken within a repeat. Beside each leg stands what the simulator says of it.",
      "stagger bench t4"};
  AddBenchOptions(app, &settings,
                  {"how often each leg runs", "how long a leg counts, after its warm-up"});
  app.add_option("--seed", settings.seed, "of the random phases; each repeat has others")
      ->capture_default_str();
  app.add_option("--legs", settings.legs,
                 "all, or names separated by commas: " + Join(T4LegNames(), ", "))
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;
  const Result<std::vector<std::string>> names = ChooseLegs(settings.legs, T4LegNames());
  if (!names) {
    PrintError("bench t4: " + names.error().message);
    return kExitUsage;
  }

  const vgpu::Model model = *vgpu::BuiltInModel("t4");
  std::vector<BenchLeg> bench;
  for (const std::string& name : *names) {
    for (const std::string& variant : T4Variants(name)) {
      bench.push_back({variant, [&, variant](int repeat, const LegTools& tools) {
                         const T4Settings t4{settings.seconds, settings.seed};
                         return RunCudaLeg(T4Plan(variant, t4, repeat, model), model, tools);
                       }});
    }
  }
  return RunBench<LegRuns>(
      "t4", settings.as_json,
      [&](Workplace& place) { return MeasureInterleaved(bench, settings.repeats, place); },
      [&](const LegRuns& runs) { return ReportOf(settings, model, Collect(*names, runs)); });
}

}  // namespace stagger::cli
