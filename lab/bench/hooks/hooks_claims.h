// What `stagger bench hooks` concludes from its repeats. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lab/bench/claims.h"
#include "lab/bench/hooks/hooks_calls.h"
#include "lab/bench/hooks/hooks_legs.h"

namespace stagger::cli {

struct HooksRepeat {
  CallRun calls;
  std::map<std::string, GpuLegRun> legs;
};

// From one app's body to the next app's, of one leg in one repeat; in us.
struct HandOverFigures {
  double release = 0;  // from one's giving back its turn to the other's first launch
  double gap = 0;      // as the device saw it
  double gap_p99 = 0;
  double own = 0;   // what the virtual GPU itself takes from an end to the app's next operation
  double rest = 0;  // waking up and the hand-over
  double ping_pong = 0;  // a bare packet there and back, beside it
  double idle = 0;       // of the device's time, 0..1
};
// nullopt where nothing was handed over. `alone`: the same app, bare.
std::optional<HandOverFigures> FiguresOf(const GpuLegRun& leg, const GpuLegRun& alone);

// The leg that the hand-overs are compared with.
inline constexpr const char* kAloneBare = "alone-60-bare";

// The leg in which two apps compete.
inline constexpr const char* kHandOver = "hand-over";
// The same two, passing the turn on by hand through a process that does nothing else: the same load
// on the same machine, with a bare packet to the relay and one from it between two bodies.
inline constexpr const char* kByHand = "hand-over-by-hand";

std::vector<Claim> HooksClaims(const std::vector<HooksRepeat>& repeats);

}  // namespace stagger::cli
