// NVIDIA's MPS: finds its control daemon or starts one, watches it, starts it again when it dies,
// and stops it at the end if it was ours. With it, kernels of several processes share a GPU.
//
// Loop thread only, and never waits: programs are started and watched by pidfd, time-outs are
// timers. Never changes a GPU's compute mode, never stops a control daemon of somebody else's, and
// never kills one that clients still use.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "daemon/gpu/mps_mode.h"
#include "daemon/loop/event_loop.h"
#include "daemon/loop/spawn.h"

namespace stagger::daemon {

class Mps {
 public:
  enum class State : unsigned char { kOff, kStarting, kRunning, kDown };

  struct Facts {
    MpsMode mode = MpsMode::kOff;
    State state = State::kOff;
    bool ours = false;      // we started it, now or in an earlier life at this socket
    pid_t pid = 0;          // the control daemon's; 0: none
    TimePoint since;        // of this state
    unsigned restarts = 0;  // after it had ended by itself
    std::string reason;     // why it is off or down; empty while it runs
    // What apps are to have as CUDA_MPS_PIPE_DIRECTORY; empty: nothing.
    std::string pipe_folder;
    std::string log_folder;  // empty: not known
  };

  // `socket` is the daemon's: what is ours lies beside it. `no_gpu`: why there is no GPU; empty:
  // there is one.
  static Result<std::unique_ptr<Mps>> Create(EventLoop* loop, MpsMode mode,
                                             const std::string& socket, std::string no_gpu);
  ~Mps();
  Mps(const Mps&) = delete;
  Mps& operator=(const Mps&) = delete;

  // Calls `settled` from the loop, once: it runs, or it cannot be had (an error if that matters:
  // mode on).
  void Start(std::function<void(Result<void>)> settled);
  // Calls `done` from the loop, once: it has been stopped, or is not ours, or does not end in time.
  void Stop(std::function<void()> done);

  const Facts& facts() const { return facts_; }

 private:
  Mps(EventLoop* loop, MpsMode mode, const std::string& socket, std::string no_gpu);
  bool Adopt(const std::string& pipe_folder, bool ours);
  void FindOrLaunch();
  void Launch();
  void Launched();
  void CannotStart(const std::string& why);
  void ControlEnded();
  void OnTimer();
  void EnterState(State state, std::string reason);
  void Decide(Result<void> outcome);
  void Forget();  // stops watching whatever is watched
  void FinishStop();
  Result<Spawned> Ask(const std::vector<std::string>& arguments, const std::string& input);

  EventLoop* loop_;
  Facts facts_;
  std::string folder_;  // ours: pipe, log and what it says at its start
  std::string no_gpu_;
  std::string program_;
  std::function<void(Result<void>)> settled_;
  std::function<void()> stopped_;
  std::unique_ptr<Timer> timer_;
  TimePoint due_ = kNever;
  int failures_ = 0;  // in a row
  Spawned launcher_;
  EventLoop::WatchId launcher_watch_ = 0;
  UniqueFd control_;  // the control daemon's pidfd
  EventLoop::WatchId control_watch_ = 0;
};

const char* ToString(Mps::State state);  // "off", "starting", "running", "down"

}  // namespace stagger::daemon
