// Gives turns back when the device has done their bodies. An event is recorded behind a body on
// each of its streams; a thread sleeps in the driver until they have passed, so neither the app nor
// a core waits. The thread starts with the first body that needs it, and masks all signals.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "agent/interface.h"
#include "agent/sync.h"
#include "base/time.h"
#include "cuda/driver_types.h"
#include "phase/call.h"
#include "phase/standing.h"

namespace stagger::cuda_agent {

// A body that began: its turn, and where it runs.
struct OpenBody {
  static constexpr std::size_t kMaxStreams = 8;

  phase::BodyId id = 0;  // 0: nothing here
  StaggerTicket ticket{};
  CUcontext context = nullptr;
  std::uint64_t thread = 0;
  TimePoint call_start;
  TimePoint asked;
  TimePoint begun;
  phase::State state{};  // what was known of the app as it began
  std::uint64_t first_launch = 0;
  std::uint64_t last_launch = 0;
  std::array<CUstream, kMaxStreams> streams{};
  std::size_t stream_count = 0;  // kMaxStreams + 1: more than we keep, so the context is asked
  // Of a body whose end nothing may tell: events behind what was launched so far, by stream, and
  // when the last of them was recorded.
  std::array<CUevent, kMaxStreams> marks{};
  TimePoint marked;
  std::uint64_t marked_launch = 0;

  void Add(CUstream stream);
  std::size_t PlaceOf(CUstream stream) const;  // stream_count if it is not among them
};

class BodyWatch {
 public:
  // Called when a body is done, and its turn is still held.
  using Done = void (*)(const OpenBody& body, TimePoint over);

  // Records the events and lets the thread wait. False: it cannot be watched (no event, no thread,
  // too many at once); the caller gives the turn back itself.
  bool Watch(const OpenBody& body, Done done);
  // Records an event behind what was launched on the stream so far; null if it cannot.
  CUevent Mark(CUcontext context, CUevent mark, CUstream stream);
  // Every so often from now on `look` is called on the thread, until it says that there is nothing
  // to look for any more.
  void KeepLooking(bool (*look)());
  // On the thread, whether it is this watch's own.
  static bool IsItsThread();
  // For `look`: whether the device has passed all of the body's marks.
  static bool PassedMarks(const OpenBody& body);
  // The body's marks may be used again.
  void ForgetMarks(const OpenBody& body);
  // Until the device has done all bodies of the thread that are watched, or `until`.
  void AwaitBodiesOf(std::uint64_t thread, TimePoint until);
  void AfterForkInChild();

 private:
  struct Watched {
    OpenBody body;
    std::array<CUevent, OpenBody::kMaxStreams> events{};
    std::size_t event_count = 0;
    Done done = nullptr;
  };
  struct Spare {
    CUcontext context;
    CUevent event;
  };
  static constexpr std::size_t kMaxWatched = 256;
  static constexpr std::size_t kMaxSpare = 64;

  static void* Main(void* self);
  void Run();
  bool StartThread();
  CUevent TakeEvent(CUcontext context);
  void PutBack(const Watched& watched);

  agent::Mutex lock_;
  agent::Condition changed_;
  std::vector<Watched> queue_;
  std::vector<Spare> spare_;
  std::uint64_t waiting_for_ = 0;  // the thread whose body is waited for; it is not in the queue
  bool (*look_)() = nullptr;
  bool started_ = false;
};

}  // namespace stagger::cuda_agent
