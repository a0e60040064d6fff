// Why a stream gets what it gets (docs/status-api.md, "why"): beside its part of the status
// document the newest of its waits, whose bodies they passed behind, and what went wrong. Worked
// out when somebody asks. Loop thread only; no I/O.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "daemon/clients/engine_host.h"

namespace stagger::daemon {

// `status`: the status document of the same moment. `name`: of a stream, or of an app with copies
// (NAME-1, NAME-2 ...), or a pid in digits. Error: no such stream; the line names those there are.
Result<nlohmann::json> Why(const EngineHost& host, const nlohmann::json& status,
                           const std::string& name, TimePoint now);

}  // namespace stagger::daemon
