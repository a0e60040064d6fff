// What happens at a hooked driver call: the detector is told, and where it says so the process
// waits for its turn, or its body is over.
//
// One per process. Called on the app's threads. Rules beyond those of the agent's gate:
// - A call that neither begins nor ends anything costs some tens of ns: no clock, no allocation, no
//   call into the driver but the app's own. `stagger bench hooks` measures it.
// - No lock is held across a call into the driver, and none while waiting for a turn.
// - Nothing is gated, recorded or launched on a stream that captures.
// - Whatever of ours fails leaves the app's call as it was: it is always made, once, with its own
//   arguments, and its own result is returned.
#pragma once

#include <atomic>
#include <cstdint>

#include "agent/interface.h"
#include "agent/sync.h"
#include "base/time.h"
#include "cuda/driver_calls.h"
#include "cuda_agent/body_watch.h"
#include "cuda_agent/facts.h"
#include "phase/detector.h"

namespace stagger::cuda_agent {

class Observer {
 public:
  static Observer& Get();

  // What Before leaves for After.
  struct Passing {
    phase::Call call;
    CUstream stream = nullptr;
    phase::BodyId ended_after = 0;
    phase::BodyId marked = 0;
    bool watched = false;  // After has something to do
    bool waits = false;    // the call returns when the device has done what it waits for
  };

  // `kind` is one that hooks cover; `blocks`: the call returns only when the device is done.
  Passing Before(cuda::CallKind kind, bool per_thread, bool blocks, const Facts& facts);
  void After(const Passing& passing);
  // A framework's call begins or ends on this thread. At its end: how many bodies it had.
  int FrameworkCall(bool begins);

  // Calls that tell the detector nothing: events recorded, host functions. Needs no lock.
  static void Passed();
  // Queries, told only where they are a wait: three of one thing in a row. Returns the body that is
  // over with this one.
  phase::BodyId BeforeQuery(std::uint64_t what);
  void AfterQuery(CUresult result);
  void EndAfterQuery(phase::BodyId body) { End(body, false); }

  // pthread_atfork: CUDA does not survive a fork, an app that has not used it yet may begin.
  void BeforeFork() { lock_.Lock(); }
  void AfterForkInParent() { lock_.Unlock(); }
  void AfterForkInChild();

 private:
  static constexpr std::size_t kMaxOpen = 32;

  Observer() = default;
  int DeviceOfContext(CUcontext context);
  OpenBody* FindOpen(phase::BodyId id);
  void Begin(phase::BodyId id, const phase::Call& call, CUstream stream, phase::State state,
             std::uint64_t number);
  void NoteLaunch(const phase::Call& call, CUstream stream, std::uint64_t number);
  void End(phase::BodyId id, bool device_is_done);
  void GiveBack(const OpenBody& body, TimePoint over);
  void Mark(phase::BodyId id, CUstream stream);
  bool EndIdleBodies();
  void InferenceEnded(const phase::Inference& inference, phase::State state);
  phase::BodyId TellQueries(unsigned count);
  static void ReadClock();
  static void AtExit();

  agent::Mutex lock_;
  phase::Detector detector_;
  std::array<OpenBody, kMaxOpen> open_{};
  std::uint64_t launches_ = 0;  // of kernels and graphs so far, without what was captured
  std::size_t open_end_ = 0;    // none of them lies beyond: a launch looks at few
  BodyWatch watch_;
  std::atomic<bool> gated_before_{false};
  struct KnownDevice {
    CUdevice ordinal = -1;
    int id = -1;
  };
  std::array<KnownDevice, 16> devices_{};
};

}  // namespace stagger::cuda_agent
