// Finds what apps cost whose profile a site file does not state: runs one of each alone for a few
// seconds, under a daemon of its own, on the device that the site names for its kind.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "launch/workplace.h"
#include "site/site_file.h"

namespace stagger::cli {

inline constexpr Duration kProbeTime = std::chrono::seconds{5};
inline constexpr std::uint64_t kLeastProbed = 10;  // inferences

// Whether some app has no profile.
bool NeedsProbe(const Site& site);

// Fills in the missing profiles: the 99th percentiles, as at speed 1. Memory is not seen. One line
// on stderr per app says what was found. Error: an app that cannot be run, or infers too little.
Result<void> Probe(Workplace& place, Site* site);

}  // namespace stagger::cli
