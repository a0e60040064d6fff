// Events, actions and configurations as JSON, and back. Ids and times are whole numbers.
#pragma once

#include <nlohmann/json.hpp>

#include "core/engine.h"

namespace stagger::record {

nlohmann::ordered_json ToJson(const core::EngineConfig& config);
nlohmann::ordered_json ToJson(const core::Event& event);
nlohmann::ordered_json ToJson(const core::Action& action);

// These throw nlohmann::json::exception, or std::invalid_argument for an unknown kind.
core::EngineConfig ConfigFrom(const nlohmann::json& json);
core::Event EventFrom(const nlohmann::json& json);
core::Action ActionFrom(const nlohmann::json& json);

}  // namespace stagger::record
