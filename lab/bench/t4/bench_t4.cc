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
#include "lab/bench/t4/t4_claims.h"
#include "lab/bench/t4/t4_plan.h"

namespace stagger::cli {
namespace {

struct Settings {
  T4Settings t4;
  std::string legs = "all";
  bool as_json = false;
};

// What was tried for a leg besides what was kept.
struct Tried {
  int percentage = 0;
  Leg leg;
};

struct Report {
  std::vector<std::string> names;
  LegRuns runs;  // a leg with a percentage stands for its best
  std::vector<Leg> legs;
  std::map<std::string, int> percentage;            // by leg
  std::map<std::string, std::vector<Tried>> tried;  // by leg: what was not kept
};

using Part = std::optional<double> (*)(const Leg&);
std::optional<double> FpsOf(const Leg& leg) { return leg.fps; }
std::optional<double> DropsOf(const Leg& leg) { return leg.drop_ratio; }
std::optional<double> MeanOf(const Leg& leg) {
  return leg.inference_ms ? std::optional(leg.inference_ms->mean) : std::nullopt;
}
std::optional<double> BodyOf(const Leg& leg) {
  return leg.body_ms ? std::optional(leg.body_ms->mean) : std::nullopt;
}

// Medians over the repeats, of what the simulator says and of how far what was measured is off.
std::optional<double> Simulated(const std::vector<LegRun>& runs, Part part) {
  std::vector<double> values;
  for (const LegRun& run : runs) {
    if (run.simulated && part(run.leg) && part(*run.simulated)) {
      values.push_back(*part(*run.simulated));
    }
  }
  return Median(std::move(values));
}
std::optional<double> Difference(const std::vector<LegRun>& runs, Part part, bool relative) {
  std::vector<double> values;
  for (const LegRun& run : runs) {
    const auto measured = part(run.leg);
    const auto simulated = run.simulated ? part(*run.simulated) : std::nullopt;
    if (!measured || !simulated || (relative && *simulated == 0)) continue;
    values.push_back(relative ? *measured / *simulated - 1 : *measured - *simulated);
  }
  return Median(std::move(values));
}

double WarmupSeconds(const LegRun& run) { return ToMs(run.warmup) / 1000; }

Report Collect(const std::vector<std::string>& names, LegRuns runs) {
  Report report;
  report.names = names;
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

std::string Signed(const std::optional<double>& value, double factor, int digits) {
  return value ? fmt::format("{:+.{}f}", *value * factor, digits) : "-";
}

void PrintText(const Settings& settings, const vgpu::Model& model, const Report& report,
               const std::vector<Claim>& claims) {
  const std::vector<std::string> headers{"sim fps", "diff %", "sim drops %",
                                         "diff",    "sim ms", "diff %"};
  std::vector<std::vector<std::string>> more;
  double shortest = 0;
  double longest = 0;
  for (const Leg& leg : report.legs) {
    const std::vector<LegRun>& runs = report.runs.at(leg.name);
    more.push_back(
        {Number(Simulated(runs, FpsOf), 1, 1), Signed(Difference(runs, FpsOf, true), 100, 1),
         Number(Simulated(runs, DropsOf), 100, 1), Signed(Difference(runs, DropsOf, false), 100, 1),
         Number(Simulated(runs, MeanOf), 1, 1), Signed(Difference(runs, MeanOf, true), 100, 1)});
    const double warmup = MedianOf(runs, WarmupSeconds);
    shortest = shortest == 0 ? warmup : std::min(shortest, warmup);
    longest = std::max(longest, warmup);
  }
  fmt::print(
      "{} on {} cores, bodies of {:.1f} ms, post phases of {:.1f} ms; {} repeats of {:g} s after a "
      "warm-up of {} inferences per app ({:.1f} to {:.1f} s); medians\n\n",
      model.name, Cores(), ToMs(model.kernels.at("body").cost), ToMs(model.kernels.at("post").cost),
      settings.t4.repeats, settings.t4.seconds, CudaLegPlan{}.warmup, shortest, longest);
  fmt::print("{}\n", LegTable(report.legs, headers, more).ToString());
  for (const auto& [name, percentage] : report.percentage) {
    fmt::print("{}: {} % each", name, percentage);
    for (const Tried& tried : report.tried.at(name)) {
      fmt::print("; with {} %: {} fps, mean {} ms", tried.percentage, Number(tried.leg.fps, 1, 1),
                 Number(MeanOf(tried.leg), 1, 1));
      if (tried.leg.drop_ratio) fmt::print(", drops {:.1f} %", *tried.leg.drop_ratio * 100);
    }
    fmt::print("\n");
  }
  if (!report.percentage.empty()) fmt::print("\n");
  if (!claims.empty()) fmt::print("{}", ToText(claims));
}

nlohmann::ordered_json LegJson(const Leg& leg, const Report& report) {
  const std::vector<LegRun>& runs = report.runs.at(leg.name);
  nlohmann::ordered_json json = ToJson(leg);
  json["warmup_s"] = OrNull(MedianOf(runs, WarmupSeconds));
  json["expired"] = runs.front().expired
                        ? OrNull(MedianOf(runs,
                                          [](const LegRun& run) {
                                            return static_cast<double>(run.expired.value_or(0));
                                          }))
                        : nullptr;
  json["device_late_ms_p99"] =
      OrNull(MedianOf(runs, [](const LegRun& run) { return ToMs(run.lateness->p99); }));
  json["device_late_ratio"] =
      OrNull(MedianOf(runs, [](const LegRun& run) { return run.lateness->late_ratio; }));
  json["simulated"] = {{"fps", OrNull(Simulated(runs, FpsOf))},
                       {"drop_ratio", OrNull(Simulated(runs, DropsOf))},
                       {"inference_mean_ms", OrNull(Simulated(runs, MeanOf))},
                       {"body_mean_ms", OrNull(Simulated(runs, BodyOf))}};
  // Relative, but for the drop ratio, which may be 0.
  json["difference"] = {{"fps", OrNull(Difference(runs, FpsOf, true))},
                        {"drop_ratio", OrNull(Difference(runs, DropsOf, false))},
                        {"inference_mean_ms", OrNull(Difference(runs, MeanOf, true))},
                        {"body_mean_ms", OrNull(Difference(runs, BodyOf, true))}};
  if (const auto found = report.percentage.find(leg.name); found != report.percentage.end()) {
    json["percentage"] = found->second;
    json["percentages_not_kept"] = nlohmann::ordered_json::array();
    for (const Tried& tried : report.tried.at(leg.name)) {
      json["percentages_not_kept"].push_back({{"percentage", tried.percentage},
                                              {"fps", OrNull(tried.leg.fps)},
                                              {"drop_ratio", OrNull(tried.leg.drop_ratio)}});
    }
  }
  return json;
}

void PrintJson(const Settings& settings, const vgpu::Model& model, const Report& report,
               const std::vector<Claim>& claims) {
  nlohmann::ordered_json legs = nlohmann::ordered_json::array();
  for (const Leg& leg : report.legs) legs.push_back(LegJson(leg, report));
  nlohmann::ordered_json device{
      {"name", "gpu:0"},         {"model", model.name},     {"sigma", model.contention.sigma},
      {"w", model.contention.w}, {"g", model.contention.g}, {"cpu", DescribeCpu()}};
  nlohmann::ordered_json json;
  json["body_ms"] = OrNull(ToMs(model.kernels.at("body").cost));
  json["post_ms"] = OrNull(ToMs(model.kernels.at("post").cost));
  json["warmup_inferences"] = CudaLegPlan{}.warmup;
  json["seconds"] = settings.t4.seconds;
  json["repeats"] = settings.t4.repeats;
  json["seed"] = settings.t4.seed;
  json["disturbed"] = OrNull(MachineDoubt(report.runs, "alone"));
  fmt::print("{}\n", BenchJson("t4", legs, device, json, claims).dump(2));
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
  AddBenchOptions(app, &settings.t4.repeats, "how often each leg runs", &settings.as_json);
  app.add_option("--seconds", settings.t4.seconds, "how long a leg counts, after its warm-up")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  app.add_option("--seed", settings.t4.seed, "of the random phases; each repeat has others")
      ->capture_default_str();
  app.add_option("--legs", settings.legs,
                 "all, or names separated by commas: " + Join(T4LegNames(), ", "))
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;
  Result<std::vector<std::string>> names =
      settings.legs == "all" ? T4LegNames() : ChooseLegs(settings.legs, T4LegNames());
  if (!names) {
    PrintError("bench t4: " + names.error().message);
    return kExitUsage;
  }

  const vgpu::Model model = *vgpu::BuiltInModel("t4");
  std::vector<BenchLeg> bench;
  for (const std::string& name : *names) {
    for (const std::string& variant : T4Variants(name)) {
      bench.push_back({variant, [&, variant](int repeat, const LegTools& tools) {
                         return RunCudaLeg(T4Plan(variant, settings.t4, repeat, model), model,
                                           tools);
                       }});
    }
  }
  return RunBench<LegRuns>(
      "t4", [&](Workplace& place) { return MeasureInterleaved(bench, settings.t4.repeats, place); },
      [&](const LegRuns& runs) {
        const Report report = Collect(*names, runs);
        std::vector<Claim> claims = T4Claims(report.runs);
        settings.as_json ? PrintJson(settings, model, report, claims)
                         : PrintText(settings, model, report, claims);
        return claims;
      });
}

}  // namespace stagger::cli
