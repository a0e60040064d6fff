// stagger bench split: one app whose frames take more than one core gives, over two of them.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/try.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/claims.h"
#include "lab/bench/split/frame_legs.h"
#include "lab/legs/leg.h"
#include "lab/legs/machine.h"
#include "lab/legs/progress_line.h"

namespace stagger::cli {
namespace {

struct Kind {
  const char* name;
  int runners;
  int executors;  // 0: bare, each runner on a core of its own
  int pipeline;
  int batch;
  const char* what;
};
constexpr Kind kKinds[] = {
    {"bare-one", 1, 0, 0, 1, "one bare process on one core"},
    {"bare-two", 2, 0, 0, 1, "two bare processes, a core each"},
    {"one-device", 1, 1, 0, 1, "one app, one executor"},
    {"split", 1, 2, 1, 1, "one app, two executors, pipeline 1"},
    {"batch-one", 1, 1, 0, 8, "one app, batches of 8, one executor"},
    {"batch-two", 1, 2, 0, 8, "one app, batches of 8 divided over two"},
};

struct Repeat {
  std::map<std::string, double> fps;
  bool same = false;  // in order and equal, shifted by one
  int compared = 0;   // frames
  bool disturbed = false;
};

Result<std::vector<RunnerReport>> RunLeg(const Kind& kind, double seconds,
                                         std::pair<int, int> cores, Workplace& place) {
  const std::vector both{cores.first, cores.second};
  FramePlan plan;
  plan.executors.assign(both.begin(), both.begin() + kind.executors);
  for (int i = 0; i < kind.runners; ++i) {
    RunnerSpec spec{.model = "heavy", .seconds = seconds, .batch = kind.batch};
    spec.pipeline = kind.pipeline;
    if (kind.executors == 0) spec.core = both[static_cast<std::size_t>(i)];
    plan.runners.push_back(spec);
  }
  return plan.Run(place);
}

Result<std::vector<Repeat>> Measure(const BenchOptions& settings, Workplace& place) {
  const std::pair<int, int> cores = STAGGER_TRY(TwoCores());
  return MeasureRepeats<Repeat>(settings.repeats, [&](const Say& say) -> Result<Repeat> {
    Repeat repeat;
    std::map<std::string, RunnerReport> first;
    for (const Kind& kind : kKinds) {
      say(kind.what);
      Result<std::vector<RunnerReport>> reports = RunLeg(kind, settings.seconds, cores, place);
      if (!reports) return Error{fmt::format("{}: {}", kind.name, reports.error().message)};
      for (const RunnerReport& report : *reports) repeat.fps[kind.name] += report.fps;
      first[kind.name] = std::move(reports->front());
    }
    const Comparison split = Compare(first["bare-one"], first["split"], 1);
    const Comparison batch = Compare(first["batch-one"], first["batch-two"], 0);
    repeat.same = split.same && batch.same && split.frames > 0;
    repeat.compared = split.frames + batch.frames;
    return repeat;
  });
}

std::vector<Claim> Claims(const std::vector<Repeat>& repeats) {
  const auto ratio = [&](const char* what, const char* one, const char* other, double limit) {
    const auto value = [&](const Repeat& r) { return r.fps.at(one) / r.fps.at(other); };
    return Judge(what, MeasurementsOf(repeats, value), Bound::kAtLeast, limit);
  };
  std::vector<Paired> same;
  for (const Repeat& repeat : repeats) same.push_back({repeat.same ? 1.0 : 0.0, false});
  return {ratio("split / two bare processes, fps", "split", "bare-two", 0.9),
          ratio("split / one device, fps", "split", "one-device", 1.6),
          ratio("batches over two / over one, fps", "batch-two", "batch-one", 1.5),
          Judge("results in order and equal to bare, shifted by one", same, Bound::kAtLeast, 1)};
}

std::vector<Leg> Legs(const std::vector<Repeat>& repeats) {
  std::vector<Leg> legs;
  for (const Kind& kind : kKinds) {
    Leg leg;
    leg.name = kind.name;
    leg.apps = kind.runners;
    leg.fps_spread =
        SpreadOf(ValuesOf(repeats, [&](const Repeat& r) { return r.fps.at(kind.name); }));
    leg.fps = leg.fps_spread->median;
    leg.repeats = static_cast<int>(repeats.size());
    leg.disturbed_repeats = static_cast<int>(std::ranges::count_if(repeats, &Repeat::disturbed));
    legs.push_back(std::move(leg));
  }
  return legs;
}

BenchReport Report(const BenchOptions& settings, const std::vector<Repeat>& repeats) {
  const std::vector<Leg> legs = Legs(repeats);
  int compared = 0;
  for (const Repeat& repeat : repeats) compared += repeat.compared;
  Table table({"leg", "fps", "min..max", "what"});
  for (std::size_t i = 0; i < legs.size(); ++i) {
    table.AddRow({legs[i].name, fmt::format("{:.2f}", *legs[i].fps),
                  fmt::format("{:.2f}..{:.2f}", legs[i].fps_spread->min, legs[i].fps_spread->max),
                  kKinds[i].what});
  }
  BenchReport report;
  report.text =
      fmt::format("{} repeats of {} s per leg, interleaved; {} frames' results compared\n\n{}\n",
                  settings.repeats, settings.seconds, compared, table.ToString());
  report.legs = ToJson(legs);
  report.settings = {
      {"repeats", settings.repeats}, {"seconds", settings.seconds}, {"frames_compared", compared}};
  report.claims = Claims(repeats);
  return report;
}

}  // namespace

int BenchSplit(const Arguments& arguments) {
  BenchOptions settings{3, 3};
  CLI::App app{
      "One app with a heavy model over two one-core executors, beside one executor and beside bare "
      "processes on the same cores.",
      "stagger bench split"};
  AddBenchOptions(app, &settings, {"", "per leg", 0.5});
  if (const auto code = ParseArguments(app, arguments)) return *code;
  using Repeats = std::vector<Repeat>;
  return RunBench<Repeats>(
      "split", settings.as_json, [&](Workplace& place) { return Measure(settings, place); },
      [&](const Repeats& repeats) { return Report(settings, repeats); });
}

}  // namespace stagger::cli
