// What `stagger bench hooks` claims of what it measured. Pure.
#pragma once

#include <vector>

#include "lab/bench/claims.h"
#include "lab/bench/hooks/hooks_calls.h"
#include "lab/legs/leg_run.h"

namespace stagger::cli {

// One app that is always busy, alone on a virtual GPU.
inline constexpr const char* kAloneBare = "alone-60-bare";
inline constexpr const char* kAloneControlled = "alone-60-controlled";

std::vector<Claim> HooksClaims(const std::vector<CallRun>& calls, const LegRuns& legs);

}  // namespace stagger::cli
