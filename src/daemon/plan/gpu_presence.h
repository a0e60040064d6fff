// Whether GPUs that a plan uses are still there, and what uses them: asked of NVML a few times a
// second, and at once when an app says that one has failed. NVML is asked on a thread of its own,
// since a sick driver may take seconds; what changed is told from the loop. Loop thread only. Never
// waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "daemon/loop/event_loop.h"
#include "device/nvidia.h"

namespace stagger::daemon {

class GpuPresence {
 public:
  static constexpr Duration kLookEvery = std::chrono::milliseconds{250};
  static constexpr int kLooksPerUse = 2;  // memory and processes are asked for every other time

  // Called from the loop, with why: `gone` at most once before `back`, and so on.
  struct Callbacks {
    std::function<void(const std::string& why)> gone;
    std::function<void()> back;
    std::function<void(const device::GpuUse&)> use;  // while it is there
  };

  static Result<std::unique_ptr<GpuPresence>> Create(EventLoop* loop);
  // Does not wait for a hung driver: the thread is left behind with what it uses.
  ~GpuPresence();
  GpuPresence(const GpuPresence&) = delete;
  GpuPresence& operator=(const GpuPresence&) = delete;

  // `name` is the device that it is watched for; the GPU is taken to be there.
  void Watch(const std::string& name, const device::Gpu& gpu, Callbacks callbacks);
  void Forget(const std::string& name);
  // Not at the next time, now.
  void Look();

 private:
  struct Shared;
  struct Watched {
    unsigned number = 0;
    Callbacks callbacks;
    bool gone = false;
  };
  explicit GpuPresence(EventLoop* loop) : loop_(loop) {}
  static void Run(const std::shared_ptr<Shared>& shared);
  void OnLooked();

  EventLoop* loop_;
  std::shared_ptr<Shared> shared_;
  EventLoop::WatchId watch_ = 0;
  std::map<std::string, Watched> watched_;
};

}  // namespace stagger::daemon
