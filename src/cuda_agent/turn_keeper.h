// The hooked calls' way to turns: tells the detector of each call, lets Turns decide what follows,
// and does it: waits at the gate, records events, gives turns back.
//
// One per process. Called on the app's threads and on the body watch's. Rules beyond those of the
// agent's gate:
// - A call that neither begins nor ends anything costs some tens of ns: no clock, no allocation, no
//   call into the driver but the app's own. `stagger bench hooks` measures it.
// - No lock is held across a call into the driver, and none while waiting for a turn.
// - Nothing is gated, recorded or launched on a stream that captures.
// - Whatever of ours fails leaves the app's call as it was: it is always made, once, with its own
//   arguments, and its own result is returned.
#pragma once

#include <cstdint>

#include "agent/sync.h"
#include "base/thread_annotations.h"
#include "base/time.h"
#include "cuda/driver_calls.h"
#include "cuda_agent/body_watch.h"
#include "cuda_agent/facts.h"
#include "cuda_agent/turns.h"
#include "phase/detector.h"

namespace stagger::cuda_agent {

class TurnKeeper {
 public:
  static TurnKeeper& Get();

  // What Before leaves for After.
  struct CallToken {
    phase::Call call;
    CUstream stream = nullptr;
    phase::BodyId ended_after = 0;
    phase::BodyId marked = 0;
    bool needs_after = false;
    bool waits = false;  // the call returns when the device has done what it waits for
  };

  // `kind` is one that hooks cover; `blocks`: the call returns only when the device is done.
  CallToken Before(cuda::CallKind kind, bool per_thread, bool blocks, const Facts& facts);
  void After(const CallToken& token);
  // A query of this event or stream. Returns the body that is over with it, for AfterQuery.
  phase::BodyId BeforeQuery(std::uint64_t what);
  void AfterQuery(phase::BodyId ended, CUresult result);
  // Events recorded and host functions: the detector is not told. Needs no lock.
  static void Ignored();
  // A framework's call begins or ends on this thread. At its end: how many bodies it had.
  int FrameworkCall(bool begins);

 private:
  TurnKeeper() = default;
  phase::Observation Observe(const phase::Call& call) REQUIRES(lock_);
  phase::BodyId TellQueries(std::uint32_t queries) EXCLUDES(lock_);
  // Lets Turns step, and does what follows.
  template <typename... Event>
  void Do(const Event&... event) EXCLUDES(lock_);
  void Perform(const Actions& actions) EXCLUDES(lock_);
  static void TellOver(const InferenceOver& over);
  void Record(const Body& body) EXCLUDES(lock_);
  void GiveBack(const Leave& leave) EXCLUDES(lock_);
  // Waits at the gate. Returns the body if it is over with the call that it begins with.
  phase::BodyId AskTurn(const Ask& ask, const phase::Call& call) EXCLUDES(lock_);
  // Until the device has done what this thread gave it before, and the turns are back.
  void AwaitOwnBodies(const Ask& ask, CUcontext context) EXCLUDES(lock_);
  void MarkLaunch(const Mark& mark) EXCLUDES(lock_);
  void End(phase::BodyId body) EXCLUDES(lock_);
  bool EndIdleBodies() EXCLUDES(lock_);
  void DeviceIsDone(const Body& body, TimePoint over) EXCLUDES(lock_);
  // pthread_atfork: CUDA does not survive a fork, an app that has not used it yet may begin.
  static void BeforeFork() NO_THREAD_SAFETY_ANALYSIS;
  static void AfterForkInParent() NO_THREAD_SAFETY_ANALYSIS;
  static void AfterForkInChild() NO_THREAD_SAFETY_ANALYSIS;
  void NoteAtExit() EXCLUDES(lock_);

  agent::Mutex lock_;
  agent::Condition given_back_;
  phase::Detector detector_ GUARDED_BY(lock_);
  Turns turns_ GUARDED_BY(lock_);
  BodyWatch watch_;
};

}  // namespace stagger::cuda_agent
