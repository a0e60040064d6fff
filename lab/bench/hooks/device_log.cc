#include "lab/bench/hooks/device_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace stagger::cli {
namespace {

// A process is taken to have waited for its turn if its input was on the device so long before.
constexpr Duration kSurelyWaiting = std::chrono::microseconds{500};

// +1 where a body of that process begins, -1 where it ends.
struct Edge {
  TimePoint at;
  int step;
  std::uint64_t process;
};

// What the log has told of one process so far.
struct Progress {
  TimePoint ready;
  std::optional<std::size_t> open;  // its body that may go on
  std::optional<std::size_t> over;  // its last body, while nothing has followed
};

}  // namespace

Result<std::vector<DeviceBody>> ReadBodies(std::istream& log) {
  std::vector<DeviceBody> bodies;
  std::map<std::uint64_t, Progress> processes;
  int number = 0;
  for (std::string line; std::getline(log, line);) {
    ++number;
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto text = [&](const char* key) {
      const auto found = event.find(key);
      return found != event.end() && found->is_string() ? found->get<std::string>() : "";
    };
    const auto whole = [&](const char* key) {
      const auto found = event.find(key);
      return found != event.end() && found->is_number_integer()
                 ? std::optional(found->get<std::int64_t>())
                 : std::nullopt;
    };
    if (!event.is_object())
      return Error{fmt::format("line {} of the device's log is none", number)};
    if (text("event") != "op") continue;
    const auto process = whole("process");
    const auto begin = whole("begin_ns");
    const auto end = whole("end_ns");
    if (!process || !begin || !end) {
      return Error{
          fmt::format("line {} of the device's log: an operation without process, begin_ns "
                      "or end_ns",
                      number)};
    }
    const auto key = static_cast<std::uint64_t>(*process);
    const DeviceBody op{key, TimePoint{Duration{*begin}}, TimePoint{Duration{*end}}, {}};
    Progress& progress = processes[key];
    const std::string kind = text("kind");
    if (kind != "kernel" || text("class") != "body") {
      progress.ready = op.end;
      // Fills and the like may lie within a body; copies and other kernels do not.
      if (kind == "kernel" || kind == "htod" || kind == "dtoh") progress.open.reset();
      if (!progress.open && progress.over) {
        bodies[*progress.over].next = op.begin;
        progress.over.reset();
      }
      continue;
    }
    if (whole("result").value_or(0) != 0) continue;
    if (progress.open) {
      DeviceBody& body = bodies[*progress.open];
      body.begin = std::min(body.begin, op.begin);
      body.end = std::max(body.end, op.end);
    } else {
      progress.open = progress.over = bodies.size();
      bodies.push_back(op);
      bodies.back().ready = progress.ready;
    }
  }
  std::ranges::sort(bodies, {}, &DeviceBody::begin);
  return bodies;
}

BodyFigures BodiesWithin(const std::vector<DeviceBody>& bodies, TimePoint begin, TimePoint end,
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
  BodyFigures figures;
  figures.body_ms = Describe(std::move(lengths));
  if (body_time > Duration{}) figures.overlap_ratio = ToMs(over_time) / ToMs(body_time);
  return figures;
}

std::vector<HandOver> HandOvers(const std::vector<DeviceBody>& bodies, int learning) {
  std::map<std::uint64_t, int> seen;
  std::vector<HandOver> found;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const DeviceBody& body = bodies[i];
    const bool known = seen[body.process]++ >= learning;
    if (i == 0) continue;
    const DeviceBody& before = bodies[i - 1];
    if (before.process == body.process || !known || seen[before.process] <= learning) continue;
    if (body.ready + kSurelyWaiting > before.end) continue;  // it may just have come
    found.push_back({body.begin - before.end, body.end - body.begin});
  }
  return found;
}

std::vector<TurnTimes> ReadTurns(std::istream& turns) {
  std::vector<TurnTimes> all;
  for (std::string line; std::getline(turns, line);) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const auto time = [&](const char* key) {
      return TimePoint{Duration{json.value(key, std::int64_t{0})}};
    };
    all.push_back(
        {json.value("pid", std::int64_t{0}), time("asked_ns"), time("begun_ns"), time("over_ns")});
  }
  return all;
}

std::vector<TurnTimes> ReadTruth(std::istream& truth, std::int64_t process) {
  std::vector<TurnTimes> all;
  for (std::string line; std::getline(truth, line);) {
    long long start = 0;
    long long begun = 0;
    long long over = 0;
    if (std::sscanf(line.c_str(), "%*d,%lld,%lld,%*d,%lld,", &start, &begun, &over) != 3) continue;
    all.push_back({process, TimePoint{Duration{start}}, TimePoint{Duration{begun}},
                   TimePoint{Duration{over}}});
  }
  return all;
}

std::vector<Duration> Releases(std::vector<TurnTimes> all, int learning) {
  std::ranges::sort(all, {}, &TurnTimes::begun);
  std::map<std::int64_t, int> seen;
  std::vector<Duration> releases;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const TurnTimes& turn = all[i];
    const bool known = seen[turn.process]++ >= learning;
    if (i == 0 || !known) continue;
    const TurnTimes& before = all[i - 1];
    if (before.process == turn.process || seen[before.process] <= learning ||
        before.over == TimePoint{})
      continue;
    if (turn.asked + kSurelyWaiting > before.over) continue;
    releases.push_back(turn.begun - before.over);
  }
  return releases;
}

}  // namespace stagger::cli
