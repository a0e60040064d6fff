// Notices when the device has done a body. An event is recorded behind the body on each of its
// streams; a thread sleeps in the driver until they have passed, so neither the app nor a core
// waits. The thread starts with the first body that needs it, and masks all signals.
//
// Owns that thread and the events. Thread-safe; its lock is never held across a driver call, nor
// while the body's end is told.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "agent/sync.h"
#include "base/thread_annotations.h"
#include "base/time.h"
#include "cuda/driver_types.h"
#include "cuda_agent/turns.h"

namespace stagger::cuda_agent {

class BodyWatch {
 public:
  // Called on the thread when the device has done a body.
  using Done = void (*)(const Body& body, TimePoint over);

  // Records the events and lets the thread wait. False: it cannot be watched (no event, no thread,
  // too many at once, a stream of its that captures).
  bool Watch(const Body& body, Done done);
  // Records an event behind what was launched on the stream so far, `mark` again or another one;
  // null if it cannot.
  CUevent Mark(CUcontext context, CUevent mark, CUstream stream);
  // Every so often from now on `look` is called on the thread, until it says that there is nothing
  // to look for any more.
  void KeepLooking(bool (*look)());
  // On the thread, whether it is this watch's own.
  static bool IsItsThread();
  // For `look`: whether the device has passed all of the body's marks.
  static bool PassedMarks(const Body& body);
  // The body's marks may be used again.
  void ForgetMarks(const Body& body);
  void PutBack(const Spare& spare);
  // pthread_atfork: events and bodies are the parent's.
  void BeforeFork() ACQUIRE(lock_) { lock_.Lock(); }
  void AfterForkInParent() RELEASE(lock_) { lock_.Unlock(); }
  void AfterForkInChild() RELEASE(lock_);

 private:
  struct Watched {
    Body body;
    std::array<CUevent, Body::kMaxStreams> events{};
    std::size_t event_count = 0;
    Done done = nullptr;
  };
  static constexpr std::size_t kMaxWatched = 256;
  static constexpr std::size_t kMaxSpare = 64;

  static void* Main(void* self);
  void Run();
  Watched Next();
  bool StartThread();
  CUevent TakeEvent(CUcontext context);
  void Keep(CUcontext context, CUevent event) REQUIRES(lock_);
  void PutBack(const Watched& watched) REQUIRES(lock_);

  agent::Mutex lock_;
  agent::Condition changed_;
  std::vector<Watched> queue_ GUARDED_BY(lock_);
  std::vector<Spare> spare_ GUARDED_BY(lock_);
  bool (*look_)() GUARDED_BY(lock_) = nullptr;
  bool look_again_ GUARDED_BY(lock_) = false;
  bool started_ GUARDED_BY(lock_) = false;
};

}  // namespace stagger::cuda_agent
