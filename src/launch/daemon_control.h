// Asks a daemon something over its socket and waits for the whole answer.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "documents/status.h"
#include "wire/timers.h"

namespace stagger::cli {

// `body` null: no arguments. An error when nobody answers at `socket`, within `timeout`, or when
// the daemon says no (its own words).
Result<nlohmann::json> AskDaemon(const std::string& socket, const std::string& verb,
                                 const nlohmann::json& body = nullptr,
                                 Duration timeout = wire::kAnswerLimit);

Result<documents::Status> AskStatus(const std::string& socket,
                                    Duration timeout = wire::kAnswerLimit);

// Whether a daemon accepts connections there; the error says why not.
Result<void> DaemonListens(const std::string& socket);

// A limit as the "policy" command takes it: "auto", or a whole number given as text.
nlohmann::json ConcurrencyArgument(const std::string& text);

}  // namespace stagger::cli
