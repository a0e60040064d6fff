// stagger bench rates: one app per way to handle excess, each reading every frame of a 30 fps
// camera while 4 inferences a second are needed, under one daemon at the same time.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>

#include "base/clock.h"
#include "base/try.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/rates/rates_claims.h"
#include "lab/bench/split/frame_legs.h"
#include "lab/legs/leg.h"
#include "lab/legs/machine.h"
#include "lab/legs/progress_line.h"
#include "launch/daemon_control.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr int kCamera = 30;             // fps
constexpr int kNeeded = 4;              // fps
constexpr std::size_t kSkip = kCamera;  // calls until all are attached
constexpr std::size_t kUntold = 30;     // calls of which the daemon hears later
constexpr std::array kWays{Excess::kPass, Excess::kPace, Excess::kReuse};

struct Repeat {
  std::map<Excess, RateMeasurements> of;
  double skipped = 0;  // as the daemon counted
  bool disturbed = false;
};

std::vector<RateCall> ReadCalls(const std::string& path) {
  std::vector<RateCall> calls;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (const std::optional<RateCall> call = ParseCall(line)) calls.push_back(*call);
  }
  return calls;
}

Result<Repeat> RunOnce(const BenchOptions& settings, Workplace& place) {
  ScratchDir dir = STAGGER_TRY(ScratchDir::Make(place.keeper));
  DaemonSpec spec;
  spec.socket = dir.File("daemon");
  spec.err_file = dir.File("daemon.log");
  PrivateDaemon daemon = STAGGER_TRY(PrivateDaemon::Start(place.installation, spec, place.keeper));
  FramePlan apps;
  for (const Excess way : kWays) {
    RunnerSpec app{.model = "pass", .seconds = settings.seconds, .fps = kCamera};
    app.stream.emplace();
    app.stream->name = ToString(way);
    app.stream->fps = kNeeded;
    app.stream->excess = way;
    app.daemon = spec.socket;
    app.calls = dir.File(app.stream->name);
    apps.runners.push_back(app);
  }
  if (const auto ran = apps.Run(place); !ran) return ran.error();
  const documents::Status status = STAGGER_TRY(AskStatus(spec.socket));
  Repeat repeat;
  repeat.skipped = static_cast<double>(status.totals.counters.skipped);
  const std::vector<RateCall> truth = ReadCalls(dir.File(ToString(Excess::kPass)));
  for (const Excess way : kWays) {
    const auto measurements = RatesOf(ReadCalls(dir.File(ToString(way))), truth,
                                      way == Excess::kPace ? kNeeded : kSkip, kCamera, kNeeded);
    if (!measurements) return Error{fmt::format("{}: too few calls to go by", ToString(way))};
    repeat.of[way] = *measurements;
  }
  return repeat;
}

// A disturbed machine can only break these claims: where they hold all the same, they do.
template <typename Value>
Claim JudgeAnyway(const std::vector<Repeat>& repeats, const char* what, Bound bound, double limit,
                  const Value& value) {
  std::vector<Paired> values = MeasurementsOf(repeats, value);
  for (Paired& figure : values) {
    const bool holds = bound == Bound::kAtLeast ? figure.value >= limit : figure.value <= limit;
    figure.disturbed = figure.disturbed && !holds;
  }
  return Judge(what, values, bound, limit);
}

std::vector<Claim> Claims(const std::vector<Repeat>& repeats) {
  const auto off_needed = [](Excess way) {
    return [way](const Repeat& r) { return std::abs(r.of.at(way).fps - kNeeded); };
  };
  const auto exact = [](const Repeat& r) {
    const RateMeasurements& f = r.of.at(Excess::kReuse);
    return f.seconds_of_calls > 0 ? static_cast<double>(f.exact_seconds) / f.seconds_of_calls : 0.0;
  };
  const auto even = [](const Repeat& r) {
    const RateMeasurements& f = r.of.at(Excess::kReuse);
    return f.least_gap >= 7 && f.greatest_gap <= 8 ? 1.0 : 0.0;
  };
  const auto right = [](const Repeat& r) {
    int wrong = 0;
    for (const auto& [way, measurements] : r.of) wrong += measurements.wrong;
    const RateMeasurements& pace = r.of.at(Excess::kPace);
    return static_cast<double>(wrong + pace.calls - pace.done);
  };
  const auto untold = [](const Repeat& r) {
    const RateMeasurements& f = r.of.at(Excess::kReuse);
    return std::abs(r.skipped - (f.calls - f.done));
  };
  return {
      JudgeAnyway(repeats, "pass: inferences per second", Bound::kAtLeast, kCamera - 0.1,
                  [](const Repeat& r) { return r.of.at(Excess::kPass).fps; }),
      JudgeAnyway(repeats, "pace: fps off the 4 that are needed", Bound::kAtMost, 0.02,
                  off_needed(Excess::kPace)),
      JudgeAnyway(repeats, "reuse: calls per second that the app gets done", Bound::kAtLeast,
                  kCamera - 0.1, [](const Repeat& r) { return r.of.at(Excess::kReuse).calls_fps; }),
      JudgeAnyway(repeats, "reuse: fps off the 4 that are needed", Bound::kAtMost, 0.02,
                  off_needed(Excess::kReuse)),
      JudgeAnyway(repeats, "reuse: share of seconds of 30 calls with exactly 4", Bound::kAtLeast, 1,
                  exact),
      JudgeAnyway(repeats, "reuse: every 7th or 8th call computes", Bound::kAtLeast, 1, even),
      JudgeAnyway(repeats, "outputs neither the call's own nor the last one's", Bound::kAtMost, 0,
                  right),
      JudgeAnyway(repeats, "reuse: skipped calls, daemon's count off the app's", Bound::kAtMost,
                  static_cast<double>(kSkip + kUntold), untold)};
}

std::vector<Leg> Legs(const std::vector<Repeat>& repeats) {
  std::vector<Leg> legs;
  for (const Excess way : kWays) {
    std::vector<Leg> runs;
    for (const Repeat& repeat : repeats) {
      const RateMeasurements& measurements = repeat.of.at(way);
      Leg leg;
      leg.name = ToString(way);
      leg.policy = "fifo";
      leg.apps = 1;
      leg.fps_required = kNeeded;
      leg.fps = measurements.fps;
      leg.frames = measurements.calls;
      leg.done = measurements.done;
      leg.drops = 0;
      leg.drop_ratio = 0;
      leg.skipped = measurements.calls - measurements.done;
      std::vector<double> times = measurements.computed_ms;
      times.insert(times.end(), measurements.reused_ms.begin(), measurements.reused_ms.end());
      leg.inference_ms = Describe(std::move(times));
      runs.push_back(std::move(leg));
    }
    Leg leg = MedianLeg(runs);
    leg.disturbed_repeats = static_cast<int>(std::ranges::count_if(repeats, &Repeat::disturbed));
    legs.push_back(std::move(leg));
  }
  return legs;
}

double Middle(const std::vector<Repeat>& repeats, Excess way, double RateMeasurements::*member) {
  return MedianOf(repeats, [&](const Repeat& repeat) { return repeat.of.at(way).*member; });
}

std::string Times(const std::vector<Repeat>& repeats, Excess way,
                  std::vector<double> RateMeasurements::*member) {
  std::vector<double> all;
  for (const Repeat& repeat : repeats) {
    const std::vector<double>& times = repeat.of.at(way).*member;
    all.insert(all.end(), times.begin(), times.end());
  }
  const std::optional<Distribution> times = Describe(std::move(all));
  return times ? fmt::format("{:.3f} / {:.3f}", times->p50, times->p99) : "-";
}

BenchReport Report(const BenchOptions& settings, const std::vector<Repeat>& repeats) {
  BenchReport report;
  const std::vector<Leg> legs = Legs(repeats);
  Table table({"leg", "calls/s", "inferences/s", "calls", "done", "skipped", "gap",
               "computed ms p50 / p99", "reused"});
  for (std::size_t i = 0; i < legs.size(); ++i) {
    const Excess way = kWays[i];
    const double calls_fps = Middle(repeats, way, &RateMeasurements::calls_fps);
    report.legs.push_back(ToJson(legs[i]));
    report.legs.back()["calls_fps"] = calls_fps;
    int least = repeats.front().of.at(way).least_gap;
    int greatest = least;
    for (const Repeat& repeat : repeats) {
      least = std::min(least, repeat.of.at(way).least_gap);
      greatest = std::max(greatest, repeat.of.at(way).greatest_gap);
    }
    table.AddRow({legs[i].name, fmt::format("{:.3f}", calls_fps),
                  fmt::format("{:.3f}", Middle(repeats, way, &RateMeasurements::fps)),
                  fmt::format("{:.0f}", *legs[i].frames), fmt::format("{:.0f}", *legs[i].done),
                  fmt::format("{:.0f}", *legs[i].skipped), fmt::format("{}..{}", least, greatest),
                  Times(repeats, way, &RateMeasurements::computed_ms),
                  Times(repeats, way, &RateMeasurements::reused_ms)});
  }
  report.text = fmt::format(
      "{} repeats of {:g} s: three apps at once, each reading every frame at {} fps, {} needed\n"
      "(gap: calls from one inference to the next; the first second is not counted)\n\n{}\n",
      settings.repeats, settings.seconds, kCamera, kNeeded, table.ToString());
  report.settings = {{"repeats", settings.repeats}, {"seconds", settings.seconds}};
  report.claims = Claims(repeats);
  return report;
}

}  // namespace

int BenchRates(const Arguments& arguments) {
  BenchOptions settings{3, 20};
  CLI::App app{
      "Apps that read every frame of a 30 fps camera while 4 inferences a second are needed: what "
      "pass, pace and reuse make of it.",
      "stagger bench rates"};
  AddBenchOptions(app, &settings, {"", "per repeat", 5, 36000});
  if (const auto code = ParseArguments(app, arguments)) return *code;
  using Repeats = std::vector<Repeat>;
  return RunBench<Repeats>(
      "rates", settings.as_json,
      [&](Workplace& place) {
        return MeasureRepeats<Repeat>(settings.repeats,
                                      [&](const Say&) { return RunOnce(settings, place); });
      },
      [&](const Repeats& repeats) { return Report(settings, repeats); });
}

}  // namespace stagger::cli
