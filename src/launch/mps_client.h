// What an app needs to be a client of the daemon's MPS, and what it may use of a GPU there.
#pragma once

#include <optional>
#include <string>

#include "documents/status.h"
#include "launch/app_environment.h"

namespace stagger::cli {

// The variables of CUDA's that make the app a client, with its limits.
Environment MpsEnvironment(const documents::Status& daemon, const StreamSettings& stream);

// One line where limits are asked for and nothing keeps them.
std::optional<std::string> WhyNoLimits(const documents::Status& daemon,
                                       const StreamSettings& stream);

inline bool WantsLimits(const StreamSettings& stream) {
  return stream.gpu_threads_percent || stream.gpu_memory_gb;
}

}  // namespace stagger::cli
