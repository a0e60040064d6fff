// The camera apps of one leg: started, warmed up, let go together, waited for, and read. Each app
// takes --samples, --ready-file and --wait-for; it leaves a summary with `frames` and `done`.
// Main thread only. The apps are stopped when the group goes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/legs/leg.h"
#include "launch/child_process.h"
#include "launch/keeper.h"
#include "launch/scratch_dir.h"
#include "launch/stop_signal.h"

namespace stagger::cli {

struct CameraApp {
  std::string name;
  std::string path;
  std::vector<std::string> arguments;  // without the files
  bool summary_on_stdout = false;      // else --json-out FILE
  Environment environment;
};

class CameraGroup {
 public:
  static Result<CameraGroup> Start(const std::vector<CameraApp>& apps, const ScratchDir& dir,
                                   Keeper& keeper);

  // All cameras are warm and wait for the start.
  Result<void> AwaitReady(Duration limit, StopSignal& stop);
  // Lets them go; `word` is what they find in the file they wait for.
  Result<void> Go(const std::string& word);
  // Until all have ended by themselves, `seconds` after the start. `tick` is called about ten times
  // a second with the seconds so far; its error ends the wait.
  Result<void> Attend(double seconds, StopSignal& stop,
                      const std::function<Result<void>(double)>& tick);
  void Stop();
  // After they have ended.
  Result<std::vector<AppRecord>> Records() const;

  // Samples written so far; counts what was appended since it was last asked.
  std::size_t CountSamples();

 private:
  struct Camera {
    std::string name;
    ChildProcess process;
    std::size_t read = 0;   // bytes of its samples
    std::size_t lines = 0;  // in them
  };

  CameraGroup(const ScratchDir& dir) : dir_(&dir) {}
  Error Failed(const Camera& camera, const ExitStatus& status) const;

  const ScratchDir* dir_;
  std::vector<Camera> cameras_;
};

}  // namespace stagger::cli
