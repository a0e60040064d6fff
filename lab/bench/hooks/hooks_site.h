// What the measurements of `stagger bench hooks` run on: a virtual T4 of their own, on which a
// daemon may share it out; waiting for apps, and the CPU time that we take beside them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lab/vgpu/virtual_gpu.h"
#include "launch/child_process.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"

namespace stagger::cli {

struct HooksSite {
  ScratchDir dir;
  VirtualGpu gpu;
  std::optional<PrivateDaemon> daemon;

  // A virtual T4 without a daemon; it writes what runs to DeviceLog() if asked to.
  static Result<HooksSite> Open(Workplace& place, bool with_log);
  std::string DeviceLog() const { return dir.File("device.jsonl"); }
  // First come, first served, one body at a time. Not while one runs.
  Result<void> StartDaemon(Workplace& place);
  // The daemon, then the device, after which its log is complete.
  Result<void> Close();
};

// Until all have ended. An error when one failed, with the last words in `app-N.err`, N from 1;
// when they take more than a minute; and when `stop` was raised. `meanwhile` is called every
// `between`.
Result<void> AwaitApps(std::vector<ChildProcess>& apps, StopSignal& stop, const ScratchDir& dir,
                       Duration between, const std::function<void()>& meanwhile);

// CPU time of the agent's own threads in a process; nullopt when it has none, or has ended.
std::optional<Duration> AgentThreadsTime(pid_t pid);

// Readings of CPU time, between the first and the last of which a share is taken.
class CpuShare {
 public:
  void Add(Duration used);
  // nullopt where the readings lie less than 0.1 s apart.
  std::optional<double> OfACore() const;

 private:
  using Reading = std::pair<TimePoint, Duration>;
  std::optional<Reading> first_;
  std::optional<Reading> last_;
};

}  // namespace stagger::cli
