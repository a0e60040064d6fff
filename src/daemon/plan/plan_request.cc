#include "daemon/plan/plan_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "daemon/loop/peer.h"
#include "device/device_choice.h"
#include "wire/messages.h"

namespace stagger::daemon {

namespace {

using nlohmann::json;

constexpr double kMostSpeed = 1000;
constexpr double kMostGb = 1e6;
constexpr double kMostMs = 3'600'000;
constexpr double kMostFps = 100'000;

// Fails by exception, and stays in this file: reading is a descent through many fields.
struct BadField {
  std::string message;
};

[[noreturn]] void Fail(const std::string& where, const json& value, const std::string& expected) {
  throw BadField{fmt::format(
      "{}: {}; expected {}", where,
      value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 60), expected)};
}

void CheckKeys(const json& map, const std::string& where, const std::set<std::string>& known) {
  if (!map.is_object()) Fail(where, map, "an object");
  for (const auto& [key, value] : map.items()) {
    if (!known.contains(key)) Fail(where + "." + Printable(key), value, "no such field");
  }
}

std::string Text(const json& map, const std::string& where, const char* field, std::size_t most,
                 bool must = false) {
  if (!map.contains(field)) {
    if (must) Fail(where, map, std::string("a field ") + field);
    return "";
  }
  const json& value = map[field];
  if (!value.is_string() || value.get_ref<const std::string&>().size() > most ||
      (must && value.get_ref<const std::string&>().empty())) {
    Fail(where + "." + field, value, fmt::format("a text of at most {} bytes", most));
  }
  return Printable(value.get<std::string>());
}

double Number(const json& map, const std::string& where, const char* field, double above,
              double most, double otherwise) {
  if (!map.contains(field)) return otherwise;
  const json& value = map[field];
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!(number > above && number <= most)) {
    Fail(where + "." + field, value, fmt::format("a number up to {:g}", most));
  }
  return number;
}

bool Flag(const json& map, const std::string& where, const char* field) {
  if (!map.contains(field)) return false;
  if (!map[field].is_boolean()) Fail(where + "." + field, map[field], "true or false");
  return map[field].get<bool>();
}

std::vector<std::string> Names(const json& map, const std::string& where, const char* field) {
  std::vector<std::string> names;
  if (!map.contains(field)) return names;
  if (!map[field].is_array()) Fail(where + "." + field, map[field], "a list of names");
  for (const json& name : map[field]) {
    if (!name.is_string()) Fail(where + "." + field, name, "a name");
    names.push_back(Printable(name.get<std::string>()));
  }
  return names;
}

placement::PlacedDevice ReadDevice(const json& map, const std::string& where,
                                   std::span<const device::Device> known) {
  CheckKeys(map, where, {"name", "on", "speed", "memory_gb", "socket"});
  placement::PlacedDevice device;
  device.plan.name = Text(map, where, "name", wire::kMaxName, true);
  device.plan.speed = Number(map, where, "speed", 0, kMostSpeed, 1);
  device.plan.memory_gb = Number(map, where, "memory_gb", -1e-9, kMostGb, 0);
  device.on = Text(map, where, "on", 16, true);
  device.socket = Text(map, where, "socket", wire::kMaxSocketPath);
  const auto choice = device::ParseDeviceChoice(device.on);
  if (choice && choice->gpus.size() == 1) {
    const auto found = std::ranges::find(
        known, device.on, [](const device::Device& each) -> const auto& { return each.spec.name; });
    if (found == known.end() || !found->gpu) {
      std::string names;
      for (const device::Device& each : known)
        names += (names.empty() ? "" : ", ") + each.spec.name;
      throw BadField{fmt::format("device '{}': {} is not one of this daemon's devices: {}",
                                 device.plan.name, device.on, names)};
    }
    device.uuid = device::GpuUuidText(found->gpu->uuid);
    // With an executor it takes those too that use it themselves.
    device.plan.kind =
        device.socket.empty() ? placement::DeviceKind::kGpu : placement::DeviceKind::kAny;
  } else {
    if (!device.on.starts_with("cpu")) Fail(where + ".on", map["on"], "cpu:N, or gpu:N");
    device.plan.kind = placement::DeviceKind::kExecutor;
    if (device.socket.empty()) Fail(where, map, "a socket, where its executor listens");
  }
  return device;
}

placement::PlacedStream ReadStream(const json& map, const std::string& where) {
  CheckKeys(map, where,
            {"name", "app", "fps", "deadline_ms", "weight", "pre_ms", "body_ms", "post_ms",
             "load_ms", "memory_gb", "executor", "devices", "like", "pipeline", "restarts"});
  placement::PlacedStream stream;
  placement::StreamNeed& need = stream.need;
  need.name = Text(map, where, "name", wire::kMaxName, true);
  need.app = Text(map, where, "app", wire::kMaxName);
  if (need.app.empty()) need.app = need.name;
  need.fps = Number(map, where, "fps", 0, kMostFps, 0);
  if (need.fps <= 0) Fail(where, map, "a rate, fps");
  const bool like = map.contains("like");
  need.pre = FromMs(Number(map, where, "pre_ms", -1e-9, kMostMs, 0));
  need.body = FromMs(Number(map, where, "body_ms", 0, kMostMs, 0));
  need.post = FromMs(Number(map, where, "post_ms", -1e-9, kMostMs, 0));
  if (need.body <= Duration{} && !like) Fail(where, map, "body_ms, or like");
  need.deadline = FromMs(Number(map, where, "deadline_ms", -1e-9, kMostMs, 0));
  need.load = FromMs(Number(map, where, "load_ms", -1e-9, kMostMs, 0));
  need.memory_gb = Number(map, where, "memory_gb", -1e-9, kMostGb, 0);
  if (map.contains("executor")) {
    need.kind = Flag(map, where, "executor") ? placement::DeviceKind::kExecutor
                                             : placement::DeviceKind::kGpu;
  }
  // One frame at a time, and so many more under way.
  need.most_parts = 1 + static_cast<int>(Number(map, where, "pipeline", -1e-9, 16, 0));
  stream.weight = Number(map, where, "weight", 0, 1e6, 1);
  stream.restarts = Flag(map, where, "restarts");
  return stream;
}

}  // namespace

Result<PlaceRequest> ParsePlaceRequest(const json& body, std::span<const device::Device> devices) {
  PlaceRequest request;
  try {
    CheckKeys(body, "place", {"devices", "streams", "partial", "more"});
    request.partial = Flag(body, "place", "partial");
    request.more = Flag(body, "place", "more");
    const auto list = [&](const char* field, const auto& read) {
      if (!body.contains(field)) return;
      if (!body[field].is_array()) Fail(std::string("place.") + field, body[field], "a list");
      for (std::size_t i = 0; i < body[field].size(); ++i) {
        read(body[field][i], fmt::format("place.{}[{}]", field, i));
      }
    };
    list("devices", [&](const json& map, const std::string& where) {
      request.devices.push_back(ReadDevice(map, where, devices));
    });
    list("streams", [&](const json& map, const std::string& where) {
      request.streams.push_back(ReadStream(map, where));
      request.places.push_back(Names(map, where, "devices"));
      request.like.push_back(Text(map, where, "like", wire::kMaxName));
    });
  } catch (const BadField& bad) {
    return Error{bad.message};
  }
  return request;
}

Result<std::vector<std::string>> ParseNames(const json& body) {
  try {
    CheckKeys(body, "arguments", {"streams"});
    return Names(body, "arguments", "streams");
  } catch (const BadField& bad) {
    return Error{bad.message};
  }
}

}  // namespace stagger::daemon
