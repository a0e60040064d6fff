#include "daemon/plan/executor_measurements.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "documents/executor.h"
#include "documents/json.h"

namespace stagger::daemon {

placement::DeviceMeasurements ExecutorMeasurements::Read(const std::string& told) {
  placement::DeviceMeasurements measurements;
  const auto status =
      documents::Read<documents::Executor>(nlohmann::json::parse(told, nullptr, false));
  const std::uint64_t since = status.inferences - std::min(inferences_, status.inferences);
  inferences_ = status.inferences;
  const double pace = status.pace_ratio;
  if (since > 0 && status.inferences >= kLeastSamples && pace > 0 && pace <= 1) {
    measurements.pace = pace;
  }
  measurements.available_gb =
      static_cast<double>(status.available_bytes + status.model_memory_bytes) / 1e9;
  std::map<std::string, std::uint64_t> seen;
  for (const documents::ExecutorApp& app : status.apps) {
    const std::uint64_t count = seen[app.name] = app.inferences;
    const auto last = by_app_.find(app.name);
    const bool ran = last == by_app_.end() ? count > 0 : count != last->second;
    const Duration body = FromMs(app.body_ms);
    if (!ran || app.samples < kLeastSamples || body <= Duration{}) continue;
    measurements.apps.push_back({app.name, body});
  }
  by_app_ = std::move(seen);
  return measurements;
}

}  // namespace stagger::daemon
