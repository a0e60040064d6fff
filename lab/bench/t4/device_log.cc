#include "lab/bench/t4/device_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace stagger::cli {
namespace {

// +1 where a body of that process begins, -1 where it ends.
struct Edge {
  TimePoint at;
  int step;
  std::uint64_t process;
};

}  // namespace

Result<std::vector<DeviceBody>> ReadBodies(std::istream& log) {
  std::vector<DeviceBody> bodies;
  std::map<std::uint64_t, std::size_t> open;  // by process: its body that may go on
  int number = 0;
  for (std::string line; std::getline(log, line);) {
    ++number;
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) {
      return Error{fmt::format("line {} of the device's log is none", number)};
    }
    if (event.value("event", nlohmann::json()) != "op") continue;
    DeviceBody op;
    std::string kind;
    bool body = false;
    try {
      op.process = event.at("process");
      op.begin = TimePoint{Duration{event.at("begin_ns").get<std::int64_t>()}};
      op.end = TimePoint{Duration{event.at("end_ns").get<std::int64_t>()}};
      kind = event.value("kind", "");
      body = kind == "kernel" && event.value("class", "") == "body";
    } catch (const nlohmann::json::exception&) {
      return Error{
          fmt::format("line {} of the device's log: an operation without process, begin_ns "
                      "or end_ns",
                      number)};
    }
    if (!body) {
      // Fills and the like may lie within a body; copies and other kernels do not.
      if (kind == "kernel" || kind == "htod" || kind == "dtoh") open.erase(op.process);
      continue;
    }
    if (event.value("result", nlohmann::json(0)) != 0) continue;
    const auto [its, is_new] = open.try_emplace(op.process, bodies.size());
    if (is_new) {
      bodies.push_back(op);
    } else {
      DeviceBody& whole = bodies[its->second];
      whole.begin = std::min(whole.begin, op.begin);
      whole.end = std::max(whole.end, op.end);
    }
  }
  std::ranges::sort(bodies, {}, &DeviceBody::begin);
  return bodies;
}

BodyMeasurements BodiesWithin(const std::vector<DeviceBody>& bodies, TimePoint begin, TimePoint end,
                              int k) {
  std::vector<double> lengths;
  std::vector<Edge> edges;
  for (const DeviceBody& body : bodies) {
    if (body.begin >= begin && body.begin < end) lengths.push_back(ToMs(body.end - body.begin));
    const TimePoint from = std::max(body.begin, begin);
    const TimePoint to = std::min(body.end, end);
    if (from >= to) continue;
    edges.push_back({from, 1, body.process});
    edges.push_back({to, -1, body.process});
  }
  // Where one ends as another begins they do not overlap.
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.at, a.step) < std::pair(b.at, b.step);
  });
  std::map<std::uint64_t, int> running;  // by process
  Duration body_time{};
  Duration over_time{};
  TimePoint last = begin;
  for (const Edge& edge : edges) {
    const auto processes = static_cast<std::int64_t>(running.size());
    const Duration time = (edge.at - last) * processes;
    body_time += time;
    if (processes > k) over_time += time;
    last = edge.at;
    if ((running[edge.process] += edge.step) == 0) running.erase(edge.process);
  }
  BodyMeasurements measurements;
  measurements.body_ms = Describe(std::move(lengths));
  if (body_time > Duration{}) measurements.overlap_ratio = ToMs(over_time) / ToMs(body_time);
  return measurements;
}

}  // namespace stagger::cli
