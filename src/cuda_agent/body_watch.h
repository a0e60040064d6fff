// Gives turns back when the device has done their bodies. An event is recorded behind a body on
// each of its streams; a thread waits until they have passed, so the app does not. It starts with
// the first body that needs it, and masks all signals.
//
// $STAGGER_BODY_END says how it learns that they have, for `stagger bench hooks` to compare:
// "event" (default): it sleeps in the driver. "poll": it sleeps until shortly before the body
// should be over, by the last ones, then asks every 20 us, for 1 ms at most; then, and while it
// knows no bodies, as "event". "sync": as "event", but where the app waits for the stream itself
// and is back first, its thread gives the turn back.
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

namespace stagger::cuda_agent {

// A body that began: its turn, and where it runs.
struct OpenBody {
  static constexpr std::size_t kMaxStreams = 8;

  phase::BodyId id = 0;  // 0: nothing here
  StaggerTicket ticket{};
  CUcontext context = nullptr;
  std::uint64_t thread = 0;
  TimePoint call_start;
  TimePoint begun;
  std::array<CUstream, kMaxStreams> streams{};
  std::size_t stream_count = 0;  // kMaxStreams + 1: more than we keep, so the context is asked

  void Add(CUstream stream);
};

class BodyWatch {
 public:
  // Called when a body is done, with the time from its begin to its end on the device.
  using Done = void (*)(phase::BodyId id, Duration device_time);

  // Records the events and lets the thread wait. False: it cannot be watched (no event, no thread,
  // too many at once); the caller gives the turn back itself.
  bool Watch(const OpenBody& body, Done done);
  // How many bodies were ever given to Watch.
  std::uint64_t watched() const { return watched_.load(std::memory_order_acquire); }
  // The app has waited for this stream (no default one); before that, so many were watched.
  void AppWaited(CUstream stream, std::uint64_t watched_before);
  void AfterForkInChild();

 private:
  struct Watched {
    OpenBody body;
    std::array<CUevent, OpenBody::kMaxStreams> events{};
    std::size_t event_count = 0;
    Done done = nullptr;
    std::uint64_t number = 0;
    bool left = false;  // its turn was given back
  };
  enum class Way : std::uint8_t { kEvent, kPoll, kSync };
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
  void AwaitEnd(const Watched& watched);
  Duration Expected() const;
  static Way ChosenWay();
  static void Leave(const Watched& watched);

  agent::Mutex lock_;
  agent::Condition changed_;
  std::vector<Watched> queue_;       // the first is being waited for
  std::array<Duration, 16> took_{};  // of the last bodies; the thread's own
  std::size_t took_count_ = 0;
  std::vector<Spare> spare_;
  bool started_ = false;
  std::atomic<std::uint64_t> watched_{0};
};

}  // namespace stagger::cuda_agent
