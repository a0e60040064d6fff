// What `stagger bench hooks` concludes from its repeats. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/claims.h"
#include "cli/hooks_trial.h"

namespace stagger::cli {

struct HooksRepeat {
  CallRun calls;
  std::map<std::string, GpuLegRun> legs;
};

// From one app's body to the next app's, of one leg in one repeat; in us.
struct HandOverFigures {
  double gap = 0;  // as the device saw it
  double gap_p99 = 0;
  double own = 0;   // what the virtual GPU itself takes from an end to the app's next operation
  double ours = 0;  // the rest
  double ping_pong = 0;  // a bare packet there and back, beside it
  double idle = 0;       // of the device's time, 0..1
  double idle_ours = 0;  // the part of it that is ours
};
// nullopt where nothing was handed over. `alone`: the same app, bare.
std::optional<HandOverFigures> FiguresOf(const GpuLegRun& leg, const GpuLegRun& alone);

// The leg that the hand-overs are compared with.
inline constexpr const char* kAloneBare = "alone-60-bare";

// `hand_over`: the leg whose completion is the agent's default.
std::vector<Claim> HooksClaims(const std::vector<HooksRepeat>& repeats,
                               const std::string& hand_over);

}  // namespace stagger::cli
