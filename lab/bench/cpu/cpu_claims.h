// What `stagger bench cpu` claims, from the runs of its legs. Pure.
#pragma once

#include <vector>

#include "lab/bench/claims.h"
#include "lab/legs/leg_run.h"

namespace stagger::cli {

// Claims whose legs were not run are left out.
std::vector<Claim> CpuClaims(const LegRuns& runs);

}  // namespace stagger::cli
