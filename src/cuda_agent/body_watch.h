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
  bool started_ = false;
};

}  // namespace stagger::cuda_agent
