// The status document as Prometheus text. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace stagger::daemon {

std::string MetricsText(const nlohmann::json& status);

}  // namespace stagger::daemon
