// Runs one leg of a demo or bench: camera apps started together, bare or under a daemon of their
// own, for a given time, and then stopped and counted. All of it is gone when the function returns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/legs/leg_run.h"

namespace stagger::cli {

// One camera that is in more of a hurry than the others.
struct TightCamera {
  double fps = 15;
  double deadline_ms = 40;
};

struct LegPlan {
  std::string name;
  int cameras = 1;
  std::optional<double> fps;  // per camera; unset: each frame as soon as the last one is done
  double seconds = 10;
  std::optional<TightCamera> tight;   // the first camera, if it differs from the others
  double work_ms = 8;                 // CPU time per frame after the inference
  bool tuned = false;                 // the app's own switch: no spinning threads
  std::optional<std::string> policy;  // unset: no daemon, no agent
  std::optional<int> concurrency;     // unset: the daemon's default
};

// An error when an app or the daemon failed (with its own last words), or `stop` was raised.
Result<LegRun> RunLeg(const LegPlan& plan, const LegTools& tools);

// The command line of one camera, without the program's name; 0 seconds: no end.
std::vector<std::string> CameraArguments(const LegPlan& plan, int camera);

}  // namespace stagger::cli
