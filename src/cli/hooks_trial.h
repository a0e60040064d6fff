// The measurements behind `stagger bench hooks`: what a call costs, what a whole app costs, and how
// long the device is idle from one app's body to the next one's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/leg.h"
#include "cli/machine.h"
#include "cli/workplace.h"

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

struct GpuLegPlan {
  std::string name;
  bool controlled = false;
  int apps = 1;
  double body_ms = 0;
  int kernels = 0;
  double seconds = 0;    // measured, after the agent has learned the apps
  bool by_hand = false;  // the apps pass a turn on by themselves (cli/turn_relay.h)
};

struct GpuLegRun {
  Leg leg;
  Disturbance disturbance;
  // Of one core, per app: our threads in the app, and with them the daemon.
  std::optional<double> threads_share;
  std::optional<double> agent_share;
  // Where two apps compete, in us.
  std::vector<double> releases_us;  // from one's release to the other's first launch
  std::vector<double> gaps_us;      // from the end of one's body on the device to the other's begin
  std::vector<double> bodies_us;
  std::vector<double> ping_pong_us;
  // Where one app is alone: from its body's end to its own next operation.
  std::vector<double> own_gaps_us;
};
Result<GpuLegRun> RunGpuLeg(const GpuLegPlan& plan, Workplace& place);

}  // namespace stagger::cli
