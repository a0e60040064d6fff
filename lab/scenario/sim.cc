// stagger sim: a scenario file run through the engine that the daemon runs, in simulated time.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

#include "base/try.h"
#include "console/arguments.h"
#include "core/policies.h"
#include "lab/scenario/scenario_file.h"
#include "lab/scenario/sim_legs.h"
#include "lab/sim/device_run.h"
#include "lab/sim/simulate.h"
#include "lab/verbs.h"
#include "record/recording.h"
#include "record/trace_file.h"

namespace stagger::cli {
namespace {

int Failed(const std::string& message) {
  PrintError("sim: " + message);
  return kExitFailed;
}

// The first draw on the first device, step by step.
Result<record::Recording> Watch(const sim::Scenario& scenario, std::uint64_t seed) {
  record::Recording recording{sim::ConfigOf(scenario, 0), {}, false};
  const Result<sim::DeviceResult> run = sim::RunDevice(
      scenario, 0, seed, 0, [&](const auto& event, TimePoint now, const auto& actions) {
        recording.steps.push_back({now, event, {actions.begin(), actions.end()}});
      });
  if (!run) return run.error();
  return recording;
}

Result<void> Write(const record::Recording& recording, const std::string& path) {
  record::Recorder recorder = STAGGER_TRY(record::Recorder::Create(path, recording.config));
  for (const record::Step& step : recording.steps) {
    if (recorder.Add(step.event, step.at, step.actions)) continue;
    return Error{"cannot record to " + path + ": " + recorder.failure()};
  }
  return {};
}

int ShowMostStreams(const std::string& file, const sim::Scenario& scenario, std::uint64_t seed,
                    unsigned threads, bool as_json) {
  const Result<MostStreams> most = FindMostStreams(scenario, seed, threads);
  if (!most) return Failed("--most-streams: " + most.error().message);
  if (as_json) {
    nlohmann::ordered_json json;
    json["most_streams"] = {{"serial", most->serial}, {"batched", most->batched}};
    json["batched_serial_ratio"] = most->ratio();
    json["draws"] = scenario.draws;
    json["seed"] = seed;
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print(
        "{}: {} draws of {:g} s, frames due within {:g} ms\n\n"
        "most streams without a miss, one after the other: {}\n"
        "most streams without a miss, batches of up to {}:   {}\n"
        "ratio: {:.2f}\n",
        file, scenario.draws, ToMs(scenario.length) / 1000, ToMs(scenario.streams.front().deadline),
        most->serial, scenario.executors[*scenario.streams.front().executor].max_batch,
        most->batched, most->ratio());
  }
  return kExitOk;
}

}  // namespace

int SimVerb(const Arguments& arguments) {
  CLI::App app{
      "Simulates a scenario: streams, devices and a policy, with the engine that the daemon runs. "
      "'stagger sim paper' fits the GPU model to the paper's Table 2 and predicts its Table 3.",
      "stagger sim"};
  std::string file;
  std::string policy;
  std::optional<int> draws;
  std::uint64_t seed = 1;
  unsigned threads = 0;
  std::string record;
  std::string trace;
  bool most_streams = false;
  bool as_json = false;
  app.add_option("scenario", file, "a scenario file (see scenarios/), or 'paper'")->required();
  app.add_option("--policy", policy, "instead of the file's");
  app.add_option("--draws", draws, "instead of the file's")->check(CLI::Range(1, 1'000'000));
  app.add_option("--seed", seed, "other phases and jitter")->capture_default_str();
  app.add_option("--threads", threads, "0: one per core; the outcome is the same")
      ->check(CLI::Range(0, 1024));
  app.add_option("--record", record,
                 "write the engine's steps of the first draw on the first device to this new file, "
                 "for stagger replay");
  app.add_option("--trace", trace,
                 "write a Chrome trace of that draw to this file, which Perfetto opens");
  app.add_flag("--most-streams", most_streams,
               "how many streams as the file's the executor serves without a miss, in batches and "
               "one after the other");
  app.add_flag("--json", as_json, "one JSON object instead of a table");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  if (!policy.empty() && core::FindPolicy(policy) == nullptr) {
    PrintError("sim: --policy: " + core::Validate({.name = policy}).error().message);
    return kExitUsage;
  }

  if (file == "paper") return SimPaper(seed, as_json);

  Result<sim::Scenario> scenario = ReadScenario(file);
  if (!scenario) return Failed(scenario.error().message);
  if (!policy.empty()) scenario->policy.name = policy;
  if (draws) scenario->draws = *draws;
  if (most_streams) return ShowMostStreams(file, *scenario, seed, threads, as_json);
  if (!record.empty() || !trace.empty()) {
    const Result<record::Recording> recording = Watch(*scenario, seed);
    if (!recording) return Failed(recording.error().message);
    Result<void> written;
    if (!record.empty()) written = Write(*recording, record);
    if (written && !trace.empty()) written = record::WriteTrace(*recording, trace);
    if (!written) return Failed(written.error().message);
  }
  const Result<sim::Outcome> outcome = sim::Simulate(*scenario, seed, threads);
  if (!outcome) return Failed(outcome.error().message);
  const std::vector<SimLeg> legs = SimLegs(*scenario, outcome.value());
  if (as_json) {
    nlohmann::ordered_json json;
    json["legs"] = nlohmann::ordered_json::array();
    for (const SimLeg& leg : legs) json["legs"].push_back(ToJson(leg));
    json["device"] = nlohmann::ordered_json::array();
    for (const sim::DeviceModel& device : scenario->devices) json["device"].push_back(device.name);
    json["draws"] = scenario->draws;
    json["seed"] = seed;
    json["done_by_second"] = outcome.value().done_by_second;
    json["engine_steps"] = outcome.value().steps;
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}: {} draws of {:g} s\n\n{}", file, scenario->draws, ToMs(scenario->length) / 1000,
               ToText(legs));
  }
  return kExitOk;
}

}  // namespace stagger::cli
