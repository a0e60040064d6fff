// A GPU's fault as the daemon tells of it, for the supervisor, which starts the apps again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/time.h"

namespace stagger::cli {

struct GpuFault {
  struct Stream {
    std::string name;
    pid_t pid = 0;
    bool present = false;  // it still runs, broken
  };
  std::uint64_t number = 0;  // of the daemon's faults; a later one has a higher
  std::string device;
  std::string error;    // the culprit's, or the first one's
  std::string culprit;  // a stream's name; empty: not known
  bool shared = false;  // under MPS: no client of the GPU may come before all of these have gone
  Duration age{};
  std::vector<Stream> streams;
};

// Of a status document; oldest first. What makes no sense is left out.
std::vector<GpuFault> FaultsOf(const nlohmann::json& status);

}  // namespace stagger::cli
