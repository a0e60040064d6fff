#include "cli/admit_report.h"

#include <fmt/core.h>

#include <cmath>

#include "core/admission.h"

namespace stagger::cli {
namespace {

using core::Admission;
using core::Task;

struct Load {
  std::vector<Task> tasks;
  std::vector<const sim::StreamModel*> streams;  // one per task
};

Load LoadOf(const sim::Scenario& scenario, std::size_t device) {
  Load load;
  for (const sim::StreamModel& stream : scenario.streams) {
    if (stream.device != device) continue;
    Task task;
    task.period = stream.period;
    task.body = stream.body + scenario.handoff;
    task.deadline = stream.deadline - stream.pre - stream.post;
    load.tasks.push_back(task);
    load.streams.push_back(&stream);
  }
  return load;
}

double Fps(const sim::StreamModel& stream) {
  return 1e9 / static_cast<double>(stream.period.count());
}

// To three figures, never upwards: what is said to fit must fit.
double RoundedDown(double fps) {
  const double unit = std::pow(10, std::floor(std::log10(fps)) - 2);
  return std::floor(fps / unit + 1e-9) * unit;
}

// Which stream, slowed down alone, would make everything fit with the least loss of its rate.
std::optional<DeviceVerdict::Fit> NearestFit(const Load& load, const Admission& verdict) {
  // Beyond this many only those that the verdict names are tried: each costs a bisection.
  constexpr std::size_t kTryAll = 64;
  std::optional<DeviceVerdict::Fit> nearest;
  double least_loss = 0;
  for (std::size_t i = 0; i < load.tasks.size(); ++i) {
    if (load.tasks.size() > kTryAll && i != verdict.binding && i != verdict.blocking) continue;
    const sim::StreamModel& stream = *load.streams[i];
    if (stream.period == Duration{}) continue;
    const bool follows = stream.deadline == stream.period;
    const std::optional<double> fps = core::HighestRate(load.tasks, i, follows);
    if (!fps) continue;
    const double loss = 1 - *fps / Fps(stream);
    if (nearest && loss >= least_loss) continue;
    nearest = {stream.name, RoundedDown(*fps)};
    least_loss = loss;
  }
  return nearest;
}

std::string Reason(const Load& load, const Admission& verdict,
                   const std::optional<DeviceVerdict::Fit>& fit) {
  std::string text;
  if (verdict.admitted) {
    text = "every body ends in time, whenever frames come";
  } else if (verdict.decided == Admission::Test::kGaveUp) {
    text = "too close to a full device to tell";
  } else if (verdict.decided == Admission::Test::kOverload) {
    text = fmt::format("bodies need {:.3g} times what the device can do", verdict.utilisation);
  }
  if (verdict.binding && verdict.decided == Admission::Test::kExact) {
    const sim::StreamModel& stream = *load.streams[*verdict.binding];
    text = fmt::format("{} at {:.3g} fps does not fit: ", stream.name, Fps(stream));
    if (verdict.blocking) {
      text += fmt::format(
          "{}'s {:.3g} ms body would make it late: ", load.streams[*verdict.blocking]->name,
          ToMs(load.tasks[*verdict.blocking].body));
    }
    text += fmt::format("{:.4g} ms of bodies are due within {:.4g} ms", ToMs(verdict.demand),
                        ToMs(verdict.interval));
  }
  if (verdict.admitted) return text;
  if (fit) return text + fmt::format("; fits with {} at {:.3g} fps", fit->stream, fit->fps);
  return text + "; no lower rate of one stream alone would help";
}

}  // namespace

std::vector<DeviceVerdict> JudgeDevices(const sim::Scenario& scenario) {
  std::vector<DeviceVerdict> verdicts;
  for (std::size_t device = 0; device < scenario.devices.size(); ++device) {
    const Load load = LoadOf(scenario, device);
    const Admission verdict = core::Admit(load.tasks);
    DeviceVerdict said;
    said.device = scenario.devices[device].name;
    said.admitted = verdict.admitted;
    said.utilisation_ratio = verdict.utilisation;
    if (!verdict.admitted) {
      if (verdict.binding) {
        said.binding_stream = load.streams[*verdict.binding]->name;
        said.interval_ms = ToMs(verdict.interval);
      }
      said.nearest_fit = NearestFit(load, verdict);
    }
    said.reason = Reason(load, verdict, said.nearest_fit);
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

}  // namespace stagger::cli
