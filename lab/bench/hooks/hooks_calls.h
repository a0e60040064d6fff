// What single driver calls cost, for `stagger bench hooks`, and what it claims.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lab/bench/claims.h"
#include "lab/legs/leg_run.h"
#include "launch/workplace.h"

namespace stagger::cli {

// One kind of driver call, in ns: bare, and what the hook adds to it.
struct CallCost {
  std::string call;
  double bare_ns = 0;
  double added_ns = 0;
};
struct CallRun {
  std::vector<CallCost> calls;
  double clock_ns = 0;  // one reading of this machine's clock
  Disturbance disturbance;
};
// Times calls on the driver that does nothing, under an agent that knows the app and holds real
// turns of a daemon.
Result<CallRun> RunCalls(Workplace& place, int blocks);

// One app that is always busy, alone on a virtual GPU.
inline constexpr const char* kAloneBare = "alone-60-bare";
inline constexpr const char* kAloneControlled = "alone-60-controlled";

// Pure.
std::vector<Claim> HooksClaims(const std::vector<CallRun>& calls, const LegRuns& legs);

}  // namespace stagger::cli
