// stagger profile --overlap: two copies of an app at once, the body of one some time after the
// other's, and the device's model fitted to how long both take (the paper's section 4.2).
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "look/observed_run.h"

namespace stagger::cli {

struct OverlapSettings {
  int rounds = 12;
  std::uint64_t seed = 1;
  std::optional<Duration> limit;  // of all of it
  bool as_json = false;
};

// Returns the exit code.
int Overlap(const Command& command, const OverlapSettings& settings);

}  // namespace stagger::cli
