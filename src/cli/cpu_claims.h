// What `stagger bench cpu` claims, from the runs of its legs. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/camera_leg.h"
#include "cli/claims.h"

namespace stagger::cli {

// By leg, one entry per repeat: entries of the same index were measured side by side.
using LegRuns = std::map<std::string, std::vector<LegRun>>;

// Claims whose legs were not run are left out.
std::vector<Claim> CpuClaims(const LegRuns& runs);

// Why no claim can be believed; empty if nothing speaks against them.
std::string MachineDoubt(const LegRuns& runs);

}  // namespace stagger::cli
