// stagger bench split: one app whose frames take more than one core gives, over two of them.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>

#include "console/arguments.h"
#include "console/progress_line.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_run.h"
#include "lab/bench/claims.h"
#include "lab/bench/split/frame_legs.h"
#include "lab/legs/leg.h"
#include "lab/legs/machine.h"

namespace stagger::cli {
namespace {

struct Settings {
  int repeats = 3;
  double seconds = 3;
  bool as_json = false;
};

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
  bool disturbed = false;
};

struct Findings {
  std::vector<Repeat> repeats;
  std::vector<Paired> same;  // 1: in order and equal, shifted by one
  int compared = 0;          // frames
};

Result<std::vector<RunnerReport>> RunLeg(const Kind& kind, const Settings& settings,
                                         std::pair<int, int> cores, Workplace& place) {
  Result<FrameLeg> leg = FrameLeg::Make(place);
  if (!leg) return leg.error();
  RunnerSpec spec;
  spec.model = "heavy";
  spec.seconds = settings.seconds;
  spec.batch = kind.batch;
  spec.pipeline = kind.pipeline;
  for (int i = 0; i < kind.executors; ++i) {
    Result<std::string> socket = leg->StartExecutor(i == 0 ? cores.first : cores.second);
    if (!socket) return socket.error();
    spec.executors.push_back(*socket);
  }
  for (int i = 0; i < kind.runners; ++i) {
    if (kind.executors == 0) spec.core = i == 0 ? cores.first : cores.second;
    if (const auto started = leg->StartRunner(spec); !started) return started.error();
  }
  return leg->Finish();
}

Result<Findings> Measure(const Settings& settings, Workplace& place) {
  const Result<std::pair<int, int>> cores = TwoCores();
  if (!cores) return cores.error();
  Findings findings;
  ProgressLine line;
  for (int i = 0; i < settings.repeats; ++i) {
    Repeat repeat;
    std::map<std::string, RunnerReport> first;
    const std::optional<MachineTime> before = ReadMachineTime();
    const Duration ours_before = OwnCpuTime();
    for (const Kind& kind : kKinds) {
      line.Update(fmt::format("repeat {}/{}: {}", i + 1, settings.repeats, kind.what));
      Result<std::vector<RunnerReport>> reports = RunLeg(kind, settings, *cores, place);
      if (!reports) return Error{fmt::format("{}: {}", kind.name, reports.error().message)};
      for (const RunnerReport& report : *reports) repeat.fps[kind.name] += report.fps;
      first[kind.name] = std::move(reports->front());
    }
    const std::optional<MachineTime> after = ReadMachineTime();
    repeat.disturbed = before && after &&
                       DisturbanceBetween(*before, *after, OwnCpuTime() - ours_before).disturbed();
    const Comparison split = Compare(first["bare-one"], first["split"], 1);
    const Comparison batch = Compare(first["batch-one"], first["batch-two"], 0);
    findings.same.push_back({split.same && batch.same && split.frames > 0 ? 1.0 : 0.0, false});
    findings.compared += split.frames + batch.frames;
    findings.repeats.push_back(std::move(repeat));
  }
  line.Finish(fmt::format("{} repeats done", settings.repeats));
  return findings;
}

Claim Ratio(const Findings& findings, const char* what, const char* one, const char* other,
            double limit) {
  std::vector<Paired> values;
  for (const Repeat& repeat : findings.repeats) {
    values.push_back({repeat.fps.at(one) / repeat.fps.at(other), repeat.disturbed});
  }
  return Judge(what, values, Bound::kAtLeast, limit);
}

std::vector<Claim> Claims(const Findings& findings) {
  return {Ratio(findings, "split / two bare processes, fps", "split", "bare-two", 0.9),
          Ratio(findings, "split / one device, fps", "split", "one-device", 1.6),
          Ratio(findings, "batches over two / over one, fps", "batch-two", "batch-one", 1.5),
          Judge("results in order and equal to bare, shifted by one", findings.same,
                Bound::kAtLeast, 1)};
}

std::vector<Leg> Legs(const Findings& findings) {
  std::vector<Leg> legs;
  for (const Kind& kind : kKinds) {
    std::vector<double> fps;
    int disturbed = 0;
    for (const Repeat& repeat : findings.repeats) {
      fps.push_back(repeat.fps.at(kind.name));
      disturbed += repeat.disturbed ? 1 : 0;
    }
    Leg leg;
    leg.name = kind.name;
    leg.apps = kind.runners;
    leg.fps = Median(fps);
    leg.fps_spread = SpreadOf(fps);
    leg.repeats = static_cast<int>(fps.size());
    leg.disturbed_repeats = disturbed;
    legs.push_back(std::move(leg));
  }
  return legs;
}

void Print(const Settings& settings, const Findings& findings, const std::vector<Claim>& claims) {
  const std::vector<Leg> legs = Legs(findings);
  if (settings.as_json) {
    nlohmann::ordered_json json;
    json["bench"] = "split";
    json["legs"] = nlohmann::ordered_json::array();
    for (const Leg& leg : legs) json["legs"].push_back(ToJson(leg));
    json["device"] = DescribeCpu();
    json["repeats"] = settings.repeats;
    json["seconds"] = settings.seconds;
    json["frames_compared"] = findings.compared;
    json["claims"] = nlohmann::ordered_json::array();
    for (const Claim& claim : claims) json["claims"].push_back(ToJson(claim));
    fmt::print("{}\n", json.dump(2));
    return;
  }
  Table table({"leg", "fps", "min..max", "what"});
  for (std::size_t i = 0; i < legs.size(); ++i) {
    table.AddRow({legs[i].name, fmt::format("{:.2f}", *legs[i].fps),
                  fmt::format("{:.2f}..{:.2f}", legs[i].fps_spread->min, legs[i].fps_spread->max),
                  kKinds[i].what});
  }
  fmt::print("{} repeats of {} s per leg, interleaved; {} frames' results compared\n\n{}\n{}",
             settings.repeats, settings.seconds, findings.compared, table.ToString(),
             ToText(claims));
}

}  // namespace

int BenchSplit(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "One app with a heavy model over two one-core executors, beside one executor and beside bare "
      "processes on the same cores.",
      "stagger bench split"};
  app.add_option("--repeats", settings.repeats)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seconds", settings.seconds, "per leg")
      ->check(CLI::Range(0.5, 3600.0))
      ->capture_default_str();
  app.add_flag("--json", settings.as_json, "one JSON object instead of tables");
  app.footer("exit code 1: a claim failed (inconclusive ones don't count); 130: stopped by Ctrl-C");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  return RunBench<Findings>(
      "split", [&](Workplace& place) { return Measure(settings, place); },
      [&](const Findings& findings) {
        std::vector<Claim> claims = Claims(findings);
        Print(settings, findings, claims);
        return claims;
      });
}

}  // namespace stagger::cli
