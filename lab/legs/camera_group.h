// The camera apps of one leg: started, warmed up, let go together, waited for, and read. Each app
// takes --samples, --ready-file and --wait-for; it leaves a summary with `frames` and `done`.
// Main thread only. The apps are gone when the function returns.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/legs/leg_run.h"
#include "launch/app_environment.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {

struct CameraApp {
  std::string name;
  std::string path;
  std::vector<std::string> arguments;  // without the files
  bool summary_on_stdout = false;      // else --json-out FILE
  Environment environment;
};

struct CameraRun {
  std::string leg;  // as its progress is called
  std::vector<CameraApp> apps;
  Duration warmup_limit{};
  double seconds = 0;  // from the start until all have ended by themselves
  // All cameras are warm and wait for the start: what they are to find in the file they wait for.
  std::function<Result<std::string>()> start;
  // Called about ten times a second with the seconds so far; its error ends the run. May be empty.
  std::function<Result<void>(double)> tick{};
};
Result<std::vector<AppRecord>> RunCameras(const CameraRun& run, const ScratchDir& dir,
                                          const LegTools& tools);

}  // namespace stagger::cli
