// Runs a scenario: every draw, every device, on several threads, and adds up what happened.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/sim/scenario.h"
#include "lab/sim/tally.h"

namespace stagger::sim {

struct Outcome {
  Tally all;
  std::vector<std::string> groups;  // names, in the file's order
  std::vector<Tally> of_group;
  double overlap_ratio = 0;   // of body time, the share during which more than k bodies ran
  std::uint64_t steps = 0;    // of the engine
  std::uint64_t batches = 0;  // of two or more, at executors
  std::vector<std::int64_t> done_by_second;  // of all draws, after the warm-up
};

// The outcome depends on scenario and seed alone, not on the number of threads (0: one per core).
Result<Outcome> Simulate(const Scenario& scenario, std::uint64_t seed, unsigned threads = 0);

}  // namespace stagger::sim
