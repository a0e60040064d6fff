// What `stagger bench t4` claims, from the runs of its legs. Pure.
#pragma once

#include <vector>

#include "cli/claims.h"
#include "cli/leg_run.h"

namespace stagger::cli {

// Claims whose legs were not run are left out.
std::vector<Claim> T4Claims(const LegRuns& runs);

}  // namespace stagger::cli
