#include "daemon/plan/executor_measurements.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace stagger::daemon {

using nlohmann::json;

namespace {

double Number(const json& map, const char* field) {
  const auto found = map.find(field);
  return found != map.end() && found->is_number() ? found->get<double>() : 0;
}

std::uint64_t Count(const json& map, const char* field) {
  const auto found = map.find(field);
  return found != map.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

}  // namespace

placement::DeviceMeasurements ExecutorMeasurements::Read(const std::string& told) {
  placement::DeviceMeasurements measurements;
  const json status = json::parse(told, nullptr, false);
  if (!status.is_object()) return measurements;
  const std::uint64_t inferences = Count(status, "inferences");
  const std::uint64_t since = inferences - std::min(inferences_, inferences);
  inferences_ = inferences;
  const double pace = Number(status, "pace_ratio");
  if (since > 0 && inferences >= kLeastSamples && pace > 0 && pace <= 1) measurements.pace = pace;
  measurements.available_gb =
      (Number(status, "available_bytes") + Number(status, "model_memory_bytes")) / 1e9;
  std::map<std::string, std::uint64_t> seen;
  for (const json& app : status.value("apps", json::array())) {
    if (!app.is_object() || !app.contains("name") || !app["name"].is_string()) continue;
    const auto name = app["name"].get<std::string>();
    const std::uint64_t count = seen[name] = Count(app, "inferences");
    const auto last = by_app_.find(name);
    const bool ran = last == by_app_.end() ? count > 0 : count != last->second;
    const Duration body = FromMs(Number(app, "body_ms"));
    if (!ran || Count(app, "samples") < kLeastSamples || body <= Duration{}) continue;
    measurements.apps.push_back({name, body});
  }
  by_app_ = std::move(seen);
  return measurements;
}

}  // namespace stagger::daemon
