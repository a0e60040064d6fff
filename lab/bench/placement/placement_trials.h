// The trials behind `stagger bench placement`: random sites, planned, checked, simulated, and held
// against the optimum, a long search, and first-fit decreasing. One thread of its own but for the
// simulator's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lab/sim/random_site.h"

namespace stagger::cli {

struct SiteTrial {
  std::string mix;
  std::size_t streams = 0;
  std::uint64_t seed = 0;
  double quick_ms = 0;  // the greedy rule alone
  double plan_ms = 0;
  std::size_t quick_devices = 0;
  std::size_t devices = 0;
  std::size_t unplaced = 0;
  std::uint32_t least = 0;  // bound, or the optimum where that was asked for; 0: not known
  bool least_is_optimum = false;
  std::size_t best_known = 0;  // of this plan, a longer search, and the quick one
  std::string fault;           // empty: every device passes
  std::int64_t frames = 0;     // simulated
  std::int64_t missed = 0;     // late or dropped
  std::size_t ffd_devices = 0;
  double ffd_missed_ratio = 0;
};

struct TrialSpec {
  sim::SiteMix mix = sim::SiteMix::kCameras;
  std::string name;
  std::size_t streams = 0;
  std::uint64_t seed = 1;
  double budget_s = 1;       // of the plan
  double long_search_s = 0;  // 0: none
  bool optimum = false;
  double simulated_s = 0;  // 0: not simulated
};
SiteTrial RunTrial(const TrialSpec& spec);

struct ChangeTrial {
  std::vector<double> ms;  // of each change
  double moved_ratio = 0;  // of all streams, most in one change
  std::string fault;
};
// Changes of one stream each (another rate, one more, one less) to a plan of that many.
ChangeTrial RunChanges(sim::SiteMix mix, std::size_t streams, std::uint64_t seed, int changes);

}  // namespace stagger::cli
