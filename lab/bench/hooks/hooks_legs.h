// The legs of `stagger bench hooks`: what the hooks cost a whole app that is alone, and how long
// the device is idle from one app's body to the next one's where two compete.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/legs/leg.h"
#include "lab/legs/machine.h"
#include "launch/workplace.h"

namespace stagger::cli {

struct GpuLegRun {
  Leg leg;
  Disturbance disturbance;
  // Of one core, per app: our threads in the app, and with them the daemon.
  std::optional<double> threads_share;
  std::optional<double> agent_share;
  std::vector<double> bodies_us;
  // Where one app is alone: from its body's end to its own next operation.
  std::vector<double> own_gaps_us;
  // Where two apps compete.
  std::vector<double> releases_us;  // from one's release to the other's first launch
  std::vector<double> gaps_us;      // from the end of one's body on the device to the other's begin
  std::vector<double> ping_pong_us;
};

struct AlonePlan {
  std::string app;  // its legs are "<app>-bare" and "<app>-controlled"
  double body_ms = 0;
  int kernels = 0;
  double seconds = 0;  // measured of each, after the agent has learned the app
  // For the gaps. The log of thousands of launches a second would be a load of its own.
  bool with_log = false;

  std::string Bare() const { return app + "-bare"; }
  std::string Controlled() const { return app + "-controlled"; }
};
struct AloneRun {
  GpuLegRun bare;
  GpuLegRun controlled;
};
// One app at a time on one virtual GPU, in four spells: bare, controlled, controlled, bare. So what
// differs is the agent and the daemon (which runs in the controlled spells only), neither the
// device's process nor the machine's drift.
Result<AloneRun> RunAlone(const AlonePlan& plan, Workplace& place);

// Two apps that are always busy.
struct CompetingPlan {
  std::string name;
  double body_ms = 0;
  int kernels = 0;
  double seconds = 0;
  bool by_hand = false;  // they pass a turn on by themselves (turn_relay.h); else under control
};
Result<GpuLegRun> RunCompeting(const CompetingPlan& plan, Workplace& place);

}  // namespace stagger::cli
