// Turns: what follows from the detector's verdicts. Knows the bodies of the process from their
// first launch until their turns are back, and says what is to be done: ask for a turn, record
// events behind a body, give its turn back, tell of an inference.
//
// Pure, as the engine is: events come in with the time, actions come out. No clock, lock, thread or
// driver call; never allocates or throws. The caller (TurnKeeper) serialises, and performs the
// actions outside of its lock.
//
// The life of a body:
//   asks    it began; its thread is at the gate         Called -> ask
//   runs    it has its turn, or runs without one        TurnGiven
//   leaves  it gets no more launches, but its turn is   Called, Returned, MarksPassed
//           still held                                  -> record or give back
//   gone                                                DeviceDone -> give back; GivenBack
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "agent/interface.h"
#include "base/time.h"
#include "cuda/driver_types.h"
#include "phase/detector.h"

namespace stagger::cuda_agent {

struct Body {
  static constexpr std::size_t kMaxStreams = 8;
  enum class Stage : std::uint8_t { kAsks, kRuns };

  phase::BodyId id = 0;  // 0: nothing here
  Stage stage{};
  bool ends = false;  // while it asks: its end was told already
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
  std::size_t stream_count = 0;  // kMaxStreams + 1: more than we keep
  // Of a body whose end nothing may tell: events behind what was launched so far, by stream, and
  // when the last of them was recorded.
  std::array<CUevent, kMaxStreams> marks{};
  TimePoint marked;
  std::uint64_t marked_launch = 0;

  bool has_turn() const { return ticket.seq != 0; }
  void Add(CUstream stream);
  std::size_t IndexOf(CUstream stream) const;  // stream_count if it is not among them
};

// Queries of one event or stream in a row, by one thread. The detector is told of them where they
// are a wait: of the third with the two before it; of every 64th in a longer row, since the thread
// would look idle otherwise; and of the query that finds the event or stream done.
class QueryRow {
 public:
  // One more query. Returns how many the detector is to be told of; 0: none for now.
  std::uint32_t Add(std::uint64_t what) {
    length_ = what == what_ ? length_ + 1 : 1;
    what_ = what;
    if (length_ == phase::kQueriesOfAWait) return length_;
    return length_ % kToldOfRow == 0 ? 1 : 0;
  }
  // The event or stream was found done. Returns whether the detector is to be told.
  bool Done() {
    if (length_ < phase::kQueriesOfAWait) return false;
    length_ = 0;
    return true;
  }
  void Break() { length_ = 0; }
  std::uint64_t what() const { return what_; }

 private:
  static constexpr std::uint32_t kToldOfRow = 64;

  std::uint64_t what_ = 0;
  std::uint32_t length_ = 0;
};

// What a thread did lately, as far as its next calls are judged by it. The thread's own.
struct ThreadPast {
  QueryRow queries;
  TimePoint copies_from;  // the first of the copies in that came last
  bool copying = false;
  TimePoint label_from;  // when the framework's call that the thread is inside of began
  bool labelled = false;
  Duration waited{};  // at the gate, in this inference
};

// ---- What happens ----

// A driver call, or a framework's, is about to be made; the detector was told.
struct Called {
  const phase::Call& call;
  const phase::Observation& told;
  CUstream stream = nullptr;  // of a launch
  std::uint64_t launch = 0;   // its number; 0: it is none
};
// The gate takes bodies of this context's device, and the body's thread is about to ask for the
// turn.
struct GateFound {
  phase::BodyId id = 0;
  CUcontext context = nullptr;
};
// The gate has answered. A ticket of 0: the body runs without a turn.
struct TurnGiven {
  phase::BodyId id = 0;
  StaggerTicket ticket{};
  CUcontext context = nullptr;
};
// The call returned. What the verdict before it said was to be done then:
struct Returned {
  phase::BodyId ended = 0;
  phase::BodyId marked = 0;
  CUstream stream = nullptr;
  bool device_is_done = false;  // the call has waited for it
};
// An event was recorded behind what the body launched so far.
struct Mark {
  phase::BodyId id = 0;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  std::size_t index = 0;    // among the body's streams
  CUevent event = nullptr;  // its mark there before, to be recorded again; null: none
  std::uint64_t launch = 0;
};
struct Marked {
  Mark mark;
  CUevent event = nullptr;  // null: it could not be recorded
};
// The device has passed all marks of the body, as Idle gave it out.
struct MarksPassed {
  phase::BodyId id = 0;
  std::uint64_t marked_launch = 0;
};
// The device has passed the events that were recorded behind the body.
struct DeviceDone {
  const Body& body;
  TimePoint over;  // zero: nothing could be recorded, and the end is not known
};
// The body's turn is back.
struct GivenBack {
  phase::BodyId id = 0;
};
// This process is the child of a fork.
struct Forked {};

// ---- What is to be done, in this order ----

// An inference is over.
struct InferenceOver {
  phase::Inference inference;
  bool warming_up = false;  // it belongs to the app's warm-up
  Duration waited{};        // at the gate
  Duration post{};          // after its body
  Duration call{};          // the whole of it
};
// A body gets no more launches. Either events are recorded behind it, and DeviceDone follows; or
// its turn, if it has one, is given back, and GivenBack follows.
struct Leave {
  Body body;
  bool record = false;
  TimePoint over;  // when the device had done the body; zero: not known
};
struct Ask {
  phase::BodyId id = 0;
  std::uint64_t thread = 0;
  Duration since_call{};  // from the inference's begin
};
struct Spare {
  CUcontext context = nullptr;
  CUevent event = nullptr;
};
struct Actions {
  std::optional<InferenceOver> tell;
  std::optional<Leave> leave;
  std::optional<Ask> ask;         // for the body's turn; then TurnGiven
  std::optional<Mark> mark;       // then Marked
  std::optional<Spare> spare;     // an event that nothing needs any more
  phase::BodyId ended_after = 0;  // to be told with Returned, beside what the verdict says
};

class Turns {
 public:
  static constexpr std::size_t kMaxOpen = 32;
  static constexpr std::size_t kMaxLeaving = 256;

  Actions Step(const Called& event, ThreadPast* thread);
  Actions Step(const GateFound& event, TimePoint now);
  Actions Step(const TurnGiven& event, TimePoint now, ThreadPast* thread);
  Actions Step(const Returned& event, TimePoint now);
  Actions Step(const Marked& event, TimePoint now);
  Actions Step(const MarksPassed& event, TimePoint now);
  Actions Step(const DeviceDone& event);
  void Step(const GivenBack& event);
  void Step(const Forked& event);

  // Nothing follows from most calls (Verdict::IsNothing). These are only noted, which costs less
  // than a step.
  std::uint64_t CountLaunch() { return ++launches_; }
  void NoteLaunch(std::uint64_t thread, CUstream stream, std::uint64_t launch) {
    for (std::size_t i = 0; i < open_end_; ++i) {
      Body& body = open_[i];
      if (body.id == 0 || body.thread != thread) continue;
      body.Add(stream);
      body.last_launch = launch;
    }
  }
  void Note(const Called& event, ThreadPast* thread);

  // Whether the thread has bodies that ended, but whose turns are still held. It asks for the next
  // turn when that is over: an app that does not wait for the device would otherwise queue its
  // bodies under its first turn, without end.
  bool IsLeaving(std::uint64_t thread) const;
  // The next body after this one by number whose marks are old enough to be looked at.
  std::optional<Body> Idle(phase::BodyId after, TimePoint now) const;
  bool HasMarked() const;
  bool IsEmpty() const { return open_end_ == 0 && leaving_count_ == 0; }

 private:
  struct Left {
    phase::BodyId id = 0;  // 0: what was launched before the process was gated
    std::uint64_t thread = 0;
    bool on_device = false;  // no: its turn is being given back
  };

  Body* Find(phase::BodyId id);
  Body* PlaceForNew(TimePoint now, Actions* actions);
  Ask Begin(const Called& event, const ThreadPast& thread, Actions* actions);
  void End(phase::BodyId id, bool device_is_done, TimePoint now, Actions* actions);
  void Remove(Body* body);
  bool AddLeaving(phase::BodyId id, std::uint64_t thread, bool on_device);

  std::array<Body, kMaxOpen> open_{};
  std::size_t open_end_ = 0;    // behind the last open body: a launch looks at few
  std::uint64_t launches_ = 0;  // of kernels and graphs so far, without what was captured
  std::array<Left, kMaxLeaving> leaving_{};
  std::size_t leaving_count_ = 0;
  bool gated_before_ = false;
};

}  // namespace stagger::cuda_agent
