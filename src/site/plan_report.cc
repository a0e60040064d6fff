#include "site/plan_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "admission/fit.h"
#include "console/sentences.h"
#include "console/table.h"
#include "placement/explain.h"
#include "planner/make_plan.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kMostHeadrooms = 8;  // apps per device
constexpr std::uint32_t kMostRoom = 20;
constexpr std::size_t kMostExplained = 2'000;
constexpr std::size_t kMostRows = 60;

const char* ToString(placement::PlanMethod method) {
  switch (method) {
    case placement::PlanMethod::kGreedy:
      return "greedy";
    case placement::PlanMethod::kPatterns:
      return "patterns";
    case placement::PlanMethod::kChunks:
      return "patterns, by samples of the streams";
    case placement::PlanMethod::kKept:
      return "kept";
  }
  return "";
}

double DeadlineMs(const placement::StreamNeed& need, std::size_t parts) {
  const double period = 1000 / need.fps * static_cast<double>(std::max<std::size_t>(parts, 1));
  return need.deadline > Duration{} ? std::min(ToMs(need.deadline), period) : period;
}

// One stream of each app that the device serves; of the site's apps where it serves none.
std::vector<std::uint32_t> AppsOf(const placement::PlacementProblem& problem,
                                  const std::vector<std::uint32_t>& served,
                                  const std::vector<std::uint32_t>& all) {
  std::vector<std::uint32_t> apps;
  std::set<std::string> seen;
  for (const std::uint32_t stream : served.empty() ? all : served) {
    if (apps.size() == kMostHeadrooms) break;
    if (seen.insert(problem.streams[stream].app).second) apps.push_back(stream);
  }
  return apps;
}

PlanReport::Device DeviceOf(const placement::PlacementProblem& problem,
                            const placement::DeviceTasks& serves, std::uint32_t index,
                            const std::vector<std::uint32_t>& apps, bool explained) {
  const placement::PlanDevice& on = problem.devices[index];
  PlanReport::Device device;
  device.name = on.name;
  device.speed = on.speed;
  device.memory_gb = on.memory_gb;
  for (const std::uint32_t stream : serves.streams) {
    device.streams.push_back(problem.streams[stream].name);
  }
  const admission::Admission verdict = admission::Admit(serves.tasks);
  device.admitted = verdict.admitted;
  device.utilisation_ratio = verdict.utilisation;
  device.memory_used_gb = serves.memory_gb;
  if (!explained) return device;
  const placement::Margin margin = placement::MarginOf(serves.tasks);
  device.margin_ratio = margin.growth;
  if (margin.binding) device.binding_stream = problem.streams[serves.streams[*margin.binding]].name;
  if (serves.tasks.empty()) {
    device.reason = "not needed";
  } else if (margin.binding) {
    device.reason = fmt::format(
        "every body ends in time; {} binds: with all bodies {:.3g} % longer it would be late",
        device.binding_stream, margin.growth * 100);
  } else {
    device.reason = "every body ends in time";
  }
  std::vector<std::string> words;
  for (const std::uint32_t like : apps) {
    const placement::Room room{like, placement::RoomFor(problem, serves, index, like, kMostRoom)};
    const placement::StreamNeed& need = problem.streams[like];
    device.headroom.push_back({need.app, need.fps, room.more});
    words.push_back(placement::InWords(problem, room, kMostRoom));
  }
  device.headroom_text = Join(words, ". ");
  return device;
}

// How many devices like one of the site would serve what has no place.
std::vector<std::string> AdviceOf(const placement::PlacementProblem& problem,
                                  const placement::Plan& plan) {
  placement::PlacementProblem rest;
  for (std::size_t i = 0; i < plan.streams.size(); ++i) {
    if (plan.streams[i].empty()) rest.streams.push_back(problem.streams[i]);
  }
  std::vector<std::string> advice;
  if (rest.streams.empty()) return advice;
  const std::size_t left = rest.streams.size();
  std::set<std::tuple<double, double, placement::DeviceKind>> types;
  for (const placement::PlanDevice& device : problem.devices) {
    if (!types.emplace(device.speed, device.memory_gb, device.kind).second) continue;
    rest.devices.assign(std::min<std::size_t>(left * 2 + 4, 200'000), device);
    const placement::Plan extra = planner::MakePlan(rest).plan;
    if (placement::StreamsPlaced(extra) < left) continue;
    const std::size_t count = placement::DevicesUsed(extra);
    advice.push_back(fmt::format("{} more device{} like {} (speed {:g}) would serve {}", count,
                                 count == 1 ? "" : "s", device.name, device.speed,
                                 left == 1 ? "it" : fmt::format("all {}", left)));
  }
  return advice;
}

}  // namespace

PlanReport ReportOf(const placement::PlacementProblem& problem, const placement::MadePlan& made,
                    const std::map<std::string, double>& p95) {
  const placement::Plan& plan = made.plan;
  PlanReport report;
  const placement::Explainer explainer(problem, plan);
  report.simulated = !p95.empty();
  report.method = ToString(made.method);
  report.devices_used = placement::DevicesUsed(plan);
  report.devices_least = made.least_devices;
  report.feasible = placement::StreamsPlaced(plan) == plan.streams.size();
  std::vector<std::uint32_t> all(std::min<std::size_t>(problem.streams.size(), 1'000));
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  for (std::uint32_t i = 0; i < problem.devices.size(); ++i) {
    const placement::DeviceTasks& serves = explainer.devices()[i];
    report.devices.push_back(
        DeviceOf(problem, serves, i, AppsOf(problem, serves.streams, all), i < kMostExplained));
  }
  std::map<std::uint32_t, const placement::MovedStream*> moved;
  for (const placement::MovedStream& move : made.moved) moved[move.stream] = &move;
  std::size_t explained = 0;
  for (std::uint32_t i = 0; i < problem.streams.size(); ++i) {
    const placement::StreamNeed& need = problem.streams[i];
    const placement::PlacedOn& on = plan.streams[i];
    PlanReport::Stream stream;
    stream.name = need.name;
    stream.fps_required = need.fps;
    if (!on.empty()) stream.fps = need.fps;
    for (const std::uint32_t device : on) stream.devices.push_back(problem.devices[device].name);
    const auto found = p95.find(need.name);
    stream.latency_p95_ms = found != p95.end() ? found->second : DeadlineMs(need, on.size());
    if (explained++ < kMostExplained) stream.reason = explainer.Reason(i);
    if (const auto move = moved.find(i); move != moved.end() && !move->second->from.empty()) {
      std::vector<std::string> from;
      for (const std::uint32_t device : move->second->from) {
        from.push_back(problem.devices[device].name);
      }
      stream.reason = fmt::format("moved from {}: {}", Join(from, ", "), stream.reason);
    }
    report.streams.push_back(std::move(stream));
  }
  report.advice = AdviceOf(problem, plan);
  return report;
}

nlohmann::ordered_json ToJson(const PlanReport& report) {
  nlohmann::ordered_json json;
  json["feasible"] = report.feasible;
  json["devices_used"] = report.devices_used;
  json["devices_least"] = nullptr;
  if (report.devices_least > 0) json["devices_least"] = report.devices_least;
  json["method"] = report.method;
  json["latency_from"] = report.simulated ? "simulation" : "deadline";
  json["devices"] = nlohmann::ordered_json::array();
  for (const PlanReport::Device& device : report.devices) {
    nlohmann::ordered_json entry{{"name", device.name}, {"speed", device.speed}};
    entry["memory_gb"] = nullptr;
    if (device.memory_gb > 0) entry["memory_gb"] = device.memory_gb;
    entry["streams"] = device.streams;
    entry["utilisation_ratio"] = device.utilisation_ratio;
    entry["admitted"] = device.admitted;
    entry["memory_used_gb"] = device.memory_used_gb;
    entry["margin_ratio"] = device.margin_ratio;
    entry["binding_stream"] = nullptr;
    if (!device.binding_stream.empty()) entry["binding_stream"] = device.binding_stream;
    entry["headroom"] = nlohmann::ordered_json::array();
    for (const PlanReport::Headroom& room : device.headroom) {
      entry["headroom"].push_back({{"app", room.app}, {"fps", room.fps}, {"more", room.more}});
    }
    entry["reason"] = device.reason;
    json["devices"].push_back(std::move(entry));
  }
  json["streams"] = nlohmann::ordered_json::array();
  for (const PlanReport::Stream& stream : report.streams) {
    nlohmann::ordered_json entry{{"name", stream.name},
                                 {"fps_required", stream.fps_required},
                                 {"fps", stream.fps},
                                 {"devices", stream.devices}};
    entry["latency_p95_ms"] = nullptr;
    if (stream.fps > 0) entry["latency_p95_ms"] = stream.latency_p95_ms;
    entry["reason"] = stream.reason;
    json["streams"].push_back(std::move(entry));
  }
  json["advice"] = report.advice;
  return json;
}

std::string ToText(const PlanReport& report) {
  std::size_t placed = 0;
  for (const PlanReport::Stream& stream : report.streams) placed += stream.devices.empty() ? 0 : 1;
  std::string text;
  if (report.feasible) {
    text += fmt::format("{} streams fit on {} of {} devices", report.streams.size(),
                        report.devices_used, report.devices.size());
    if (report.devices_least == report.devices_used) {
      text += "; no plan uses fewer";
    } else if (report.devices_least > 0) {
      text += fmt::format("; no plan uses fewer than {}", report.devices_least);
    }
    text += "\n\n";
  } else {
    text += fmt::format(
        "does not fit: {} of {} streams have no place. A part of the plan, nothing more:\n\n",
        report.streams.size() - placed, report.streams.size());
  }
  Table devices({"device", "streams", "bodies", "memory GB", "verdict"});
  std::size_t shown = 0;
  std::string rooms;
  for (const PlanReport::Device& device : report.devices) {
    if (device.streams.empty() && report.devices.size() > 12) continue;
    if (++shown > kMostRows) continue;
    devices.AddRow({device.name, std::to_string(device.streams.size()),
                    fmt::format("{:.1f} %", device.utilisation_ratio * 100),
                    device.memory_gb > 0
                        ? fmt::format("{:.1f} / {:g}", device.memory_used_gb, device.memory_gb)
                        : fmt::format("{:.1f}", device.memory_used_gb),
                    (device.admitted ? "fits: " : "does not fit: ") + device.reason});
    if (!device.headroom_text.empty() && !device.streams.empty()) {
      rooms += fmt::format("{}: {}\n", device.name, device.headroom_text);
    }
  }
  text += devices.ToString();
  if (shown > kMostRows) text += fmt::format("... and {} more devices in use\n", shown - kMostRows);
  if (!rooms.empty()) text += "\n" + rooms;
  text += "\n";
  Table streams({"stream", "fps", report.simulated ? "p95 ms (simulated)" : "p95 ms (bound)",
                 "devices", "why"});
  shown = 0;
  // Those without a place first: they are what a person must act on.
  for (const bool nowhere : {true, false}) {
    for (const PlanReport::Stream& stream : report.streams) {
      if (stream.devices.empty() != nowhere || ++shown > kMostRows) continue;
      streams.AddRow({stream.name, fmt::format("{:g}", stream.fps_required),
                      nowhere ? "-" : fmt::format("{:.1f}", stream.latency_p95_ms),
                      nowhere ? "-" : Join(stream.devices, ", "), stream.reason});
    }
  }
  text += streams.ToString();
  if (shown > kMostRows)
    text += fmt::format("... and {} more streams (--json has them all)\n", shown - kMostRows);
  if (!report.advice.empty()) text += "\n";
  for (const std::string& advice : report.advice) text += advice + "\n";
  return text;
}

}  // namespace stagger::cli
