// What the command line asks of the placement, read from JSON: strictly, so that nothing half-right
// is taken. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/devices.h"
#include "placement/in_force.h"

namespace stagger::daemon {

struct PlaceRequest : placement::Joined {
  bool more = false;  // further requests belong to this one
};

// Error: one line naming field, value and what was expected.
Result<PlaceRequest> ParsePlaceRequest(const nlohmann::json& body,
                                       std::span<const device::Device> devices);

// {"streams": ["gate-1", ...]}
Result<std::vector<std::string>> ParseNames(const nlohmann::json& body);

}  // namespace stagger::daemon
