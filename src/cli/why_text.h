// How the daemon's answer to "why" (docs/status-api.md) reads: a few sentences per stream, each
// with its figures. Pure. Fields that another version lacks are passed over in silence.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace stagger::cli {

std::string WhyText(const nlohmann::json& answer);

}  // namespace stagger::cli
