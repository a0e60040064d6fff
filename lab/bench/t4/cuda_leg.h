// Runs one leg of CUDA camera apps on a virtual GPU of its own: bare, with MPS percentages, or
// under a daemon of its own with the real agents. All of it is gone when the function returns.
//
// Every leg begins alike: each app does `warmup` inferences as fast as it can, uncounted, and
// waits; when all have, they start at one instant, and what counts is counted from there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/legs/leg_run.h"
#include "lab/sim/scenario.h"
#include "lab/vgpu/model.h"

namespace stagger::cli {

struct CudaLegPlan {
  std::string name;
  std::optional<double> fps;      // per app; unset: a frame is always ready
  std::vector<double> phases_ms;  // one per app: its first frame after the start
  double seconds = 10;            // counted
  int warmup = 25;                // inferences
  double body_ms = 0;
  double post_ms = 0;
  double app_ms = 0;                  // the app's own work after an inference
  std::optional<std::string> policy;  // unset: no daemon, no agent
  double spacing_ms = 60;             // under `spaced`
  int percentage = 0;                 // CUDA_MPS_ACTIVE_THREAD_PERCENTAGE; 0: not set
};

// The same leg for the simulator. Pure.
sim::Scenario ScenarioOf(const CudaLegPlan& plan, const vgpu::Model& model);

// The command line of one app, without the program's name. Pure.
std::vector<std::string> CudaCameraArguments(const CudaLegPlan& plan, std::size_t app);

// Also simulates it. Bodies and their overlap are the device's own, by its log, with k = 1. An
// error when an app, the daemon or the device failed, or `stop` was raised.
Result<LegRun> RunCudaLeg(const CudaLegPlan& plan, const vgpu::Model& model, const LegTools& tools);

}  // namespace stagger::cli
