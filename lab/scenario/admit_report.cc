#include "lab/scenario/admit_report.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "admission/fit.h"
#include "console/arguments.h"
#include "lab/scenario/scenario_file.h"
#include "lab/verbs.h"

namespace stagger::cli {
namespace {

std::vector<admission::NamedTask> LoadOf(const sim::Scenario& scenario, std::size_t device) {
  std::vector<admission::NamedTask> load;
  for (const sim::StreamModel& stream : scenario.streams) {
    if (stream.device != device) continue;
    admission::Task task;
    task.period = stream.period;
    task.body = stream.body + scenario.handoff;
    task.deadline = stream.deadline - stream.pre - stream.post;
    load.push_back({stream.name, task, stream.deadline == stream.period});
  }
  return load;
}

}  // namespace

std::vector<DeviceVerdict> JudgeDevices(const sim::Scenario& scenario) {
  std::vector<DeviceVerdict> verdicts;
  for (std::size_t device = 0; device < scenario.devices.size(); ++device) {
    const std::vector<admission::NamedTask> load = LoadOf(scenario, device);
    const admission::Fit fit = admission::JudgeFit(load);
    DeviceVerdict said;
    said.device = scenario.devices[device].name;
    said.admitted = fit.admitted;
    said.utilisation_ratio = fit.utilisation;
    if (fit.binding) {
      said.binding_stream = load[*fit.binding].name;
      said.interval_ms = ToMs(*fit.interval);
    }
    if (fit.nearest) said.nearest_fit = {load[fit.nearest->which].name, fit.nearest->fps};
    said.reason = fit.reason;
    verdicts.push_back(std::move(said));
  }
  return verdicts;
}

nlohmann::ordered_json ToJson(const std::vector<DeviceVerdict>& verdicts) {
  nlohmann::ordered_json json;
  json["devices"] = nlohmann::ordered_json::array();
  for (const DeviceVerdict& verdict : verdicts) {
    nlohmann::ordered_json entry;
    entry["name"] = verdict.device;
    entry["admitted"] = verdict.admitted;
    entry["utilisation_ratio"] = verdict.utilisation_ratio;
    entry["binding_stream"] = nullptr;
    entry["interval_ms"] = nullptr;
    entry["nearest_fit"] = nullptr;
    if (verdict.binding_stream) entry["binding_stream"] = *verdict.binding_stream;
    if (verdict.interval_ms) entry["interval_ms"] = *verdict.interval_ms;
    if (verdict.nearest_fit) {
      entry["nearest_fit"] = {{"stream", verdict.nearest_fit->stream},
                              {"fps", verdict.nearest_fit->fps}};
    }
    entry["reason"] = verdict.reason;
    json["devices"].push_back(entry);
  }
  return json;
}

std::string ToText(const std::vector<DeviceVerdict>& verdicts) {
  std::string text;
  for (const DeviceVerdict& verdict : verdicts) {
    text += fmt::format("{}: {}, {:.1f} % used by bodies: {}\n", verdict.device,
                        verdict.admitted ? "fits" : "does not fit", verdict.utilisation_ratio * 100,
                        verdict.reason);
  }
  return text;
}

int AdmitVerb(const Arguments& arguments) {
  CLI::App app{
      "Whether every body of a scenario ends in time under edf, one at a time, whenever its frames "
      "come; and if not, which deadline is missed, because of what, and what would fit.",
      "stagger admit"};
  std::string file;
  bool as_json = false;
  app.add_option("scenario", file, "a scenario file (see scenarios/)")->required();
  app.add_flag("--json", as_json, "one JSON object instead of sentences");
  app.footer("exit code 1: a device's streams do not fit");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  const Result<sim::Scenario> scenario = ReadScenario(file);
  if (!scenario) {
    PrintError("admit: " + scenario.error().message);
    return kExitFailed;
  }
  const std::vector<DeviceVerdict> verdicts = JudgeDevices(scenario.value());
  fmt::print("{}", as_json ? ToJson(verdicts).dump(2) + "\n" : ToText(verdicts));
  const bool fits = std::all_of(verdicts.begin(), verdicts.end(),
                                [](const DeviceVerdict& verdict) { return verdict.admitted; });
  return fits ? kExitOk : kExitFailed;
}

}  // namespace stagger::cli
