// What an app needs to be a client of the daemon's MPS, and what it may use of a GPU there.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "launch/app_environment.h"

namespace stagger::cli {

struct MpsView {
  bool running = false;
  std::string mode;               // "off", "auto", "on"
  std::string reason;             // why it does not run
  std::string pipe_directory;     // empty: apps need none
  std::vector<std::string> gpus;  // UUIDs of those that the daemon shares out
};

// From a daemon's status document.
MpsView MpsOf(const nlohmann::json& status);

// Asks the daemon, which may take `timeout` at most. Error: it does not tell.
Result<MpsView> AskMps(const std::string& socket, Duration timeout);

// The variables of CUDA's that make the app a client, with its limits.
Environment MpsEnvironment(const MpsView& mps, const StreamSettings& stream);

// One line where limits are asked for and nothing keeps them.
std::optional<std::string> WhyNoLimits(const MpsView& mps, const StreamSettings& stream);

inline bool WantsLimits(const StreamSettings& stream) {
  return stream.gpu_threads_percent || stream.gpu_memory_gb;
}

}  // namespace stagger::cli
