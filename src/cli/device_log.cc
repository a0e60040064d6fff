#include "cli/device_log.h"

#include <algorithm>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace stagger::cli {
namespace {

constexpr Duration kPause = std::chrono::microseconds{500};

struct Operation {
  int pid = 0;
  bool body = false;
  TimePoint begin;
  TimePoint end;
};

std::optional<Operation> Parse(const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("event", "") != "op") return std::nullopt;
  const auto time = [&](const char* key) {
    return TimePoint{Duration{json.value(key, std::int64_t{0})}};
  };
  return Operation{json.value("pid", 0),
                   json.value("kind", "") == "kernel" && json.value("class", "") == "body",
                   time("begin_ns"), time("end_ns")};
}

}  // namespace

std::vector<DeviceBody> ReadBodies(std::istream& log) {
  struct App {
    TimePoint ready;
    std::optional<DeviceBody> open;
  };
  std::map<int, App> apps;
  std::vector<DeviceBody> bodies;
  for (std::string line; std::getline(log, line);) {
    const std::optional<Operation> op = Parse(line);
    if (!op) continue;
    App& app = apps[op->pid];
    if (op->body && app.open && op->begin - app.open->end < kPause) {
      app.open->end = std::max(app.open->end, op->end);
      continue;
    }
    if (app.open) {
      app.open->next = op->begin;
      bodies.push_back(*app.open);
      app.open.reset();
    }
    if (op->body) {
      app.open = DeviceBody{op->pid, op->begin, op->end, app.ready, kNever};
    } else {
      app.ready = op->end;
    }
  }
  for (const auto& [pid, app] : apps) {
    if (app.open) bodies.push_back(*app.open);
  }
  std::ranges::sort(bodies, {}, &DeviceBody::begin);
  return bodies;
}

std::vector<HandOver> HandOvers(const std::vector<DeviceBody>& bodies, int learning) {
  std::map<int, int> seen;
  std::vector<HandOver> found;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const DeviceBody& body = bodies[i];
    const bool known = seen[body.pid]++ >= learning;
    if (i == 0) continue;
    const DeviceBody& before = bodies[i - 1];
    if (before.pid == body.pid || !known || seen[before.pid] <= learning) continue;
    if (body.ready + kPause > before.end) continue;  // it may just have come
    found.push_back({body.begin - before.end, body.end - body.begin});
  }
  return found;
}

}  // namespace stagger::cli
