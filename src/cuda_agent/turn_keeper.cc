#include "cuda_agent/turn_keeper.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/clock.h"
#include "cuda_agent/agent_link.h"
#include "cuda_agent/call_kinds.h"
#include "cuda_agent/capture.h"
#include "cuda_agent/devices.h"
#include "cuda_agent/fault.h"
#include "cuda_agent/real_driver.h"
#include "cuda_agent/report.h"
#include "cuda_agent/turn_log.h"

namespace stagger::cuda_agent {
namespace {

using cuda::CallKind;
using PhaseKind = phase::CallKind;

// A body of the same thread that lasts longer is waited for no more; its lease will end.
constexpr Duration kLongestOwnBody = std::chrono::seconds{5};
// So many calls may pass between two readings of the clock.
constexpr int kMostUntimed = 8;

struct ThreadFacts {
  TimePoint at{};  // when the clock was last read
  int untimed = 0;
  // Of the last call that put work on a stream. A stream keeps its context, so the driver need not
  // be asked again; a default stream's is whichever is current.
  CUstream stream = nullptr;
  std::uint64_t context = 0;
  ThreadPast past;

  void ReadClock() {
    at = Now();
    untimed = 0;
  }
};
constinit thread_local ThreadFacts mine;

std::uint64_t ThisThread() { return reinterpret_cast<std::uint64_t>(&mine); }

CUcontext CurrentContext() {
  CUcontext context = nullptr;
  RealCall<kAt_cuCtxGetCurrent>(&context);
  return context;
}

CUstream Plain(CUstream stream, bool per_thread) {
  if (stream != nullptr) return stream;
  return per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
}

// While something in the process captures: whether this call belongs to a capture.
bool IsCaptured(bool has_stream, CUstream stream) {
  return Captures::begun_here() > 0 || (has_stream && Captures::Includes(stream));
}

}  // namespace

TurnKeeper& TurnKeeper::Get() {
  // Never destroyed: the app's threads may still launch while the process exits.
  alignas(TurnKeeper) static unsigned char storage[sizeof(TurnKeeper)];
  static TurnKeeper* const keeper = [] {
    auto* made = ::new (storage) TurnKeeper();
    Agent().watch_framework([](bool begins) { return Get().FrameworkCall(begins); });
    if (Report::Get().wanted()) std::atexit([] { Get().NoteAtExit(); });
    pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
    return made;
  }();
  return *keeper;
}

void TurnKeeper::BeforeFork() {
  Get().lock_.Lock();
  Get().watch_.BeforeFork();
}

void TurnKeeper::AfterForkInParent() {
  Get().watch_.AfterForkInParent();
  Get().lock_.Unlock();
}

void TurnKeeper::AfterForkInChild() {
  TurnKeeper& self = Get();
  self.watch_.AfterForkInChild();
  self.turns_.Step(Forked{});
  self.given_back_.Renew();
  Captures::AfterForkInChild();
  ForgetDevices();
  ForgetFault();
  self.lock_.Renew();
}

TurnKeeper::CallToken TurnKeeper::Before(CallKind kind, bool per_thread, bool blocks,
                                         const Facts& facts) {
  CallToken token;
  mine.past.queries.Break();
  const bool launches = kind == CallKind::kLaunch || kind == CallKind::kGraphLaunch;
  token.stream = Plain(facts.stream, per_thread);
  if (Captures::any() && IsCaptured(facts.has_stream, token.stream)) return token;
  std::uint64_t launch = 0;
  phase::Call& call = token.call;
  call.kind = KindOf(kind, facts);
  call.hash = facts.hash;
  call.bytes = facts.bytes;
  call.thread = ThisThread();
  const bool same_stream = launches && token.stream == mine.stream && facts.stream != nullptr;
  call.context = same_stream ? mine.context : reinterpret_cast<std::uint64_t>(CurrentContext());

  lock_.Lock();
  if (launches) launch = turns_.CountLaunch();
  if (++mine.untimed >= kMostUntimed) mine.ReadClock();
  call.at = mine.at;
  if (kind == CallKind::kLaunch && same_stream && detector_.IsAsKnown(call)) {
    turns_.NoteLaunch(call.thread, token.stream, launch);
    lock_.Unlock();
    mine.past.copying = false;
    return token;
  }
  if (mine.untimed > 0 && detector_.NeedsTime(call)) mine.ReadClock();
  call.at = mine.at;
  const phase::Observation told = Observe(call);
  const Called called{call, told, token.stream, launch};
  if (launches) {
    mine.stream = token.stream;
    mine.context = call.context;
  }
  if (told.verdict.IsNothing()) {
    turns_.Note(called, &mine.past);
    lock_.Unlock();
  } else {
    const Actions actions = turns_.Step(called, &mine.past);
    lock_.Unlock();
    token.ended_after = told.verdict.ended_after;
    token.marked = told.verdict.marked;
    Perform(actions);
    if (actions.ask) token.ended_after = std::max(token.ended_after, AskTurn(*actions.ask, call));
  }
  const bool copies_out = call.kind == PhaseKind::kCopyOut;
  token.waits = blocks && (call.kind == PhaseKind::kBlockingSync || copies_out);
  token.needs_after = token.waits || copies_out || token.ended_after != 0 || token.marked != 0;
  return token;
}

void TurnKeeper::After(const CallToken& token) {
  Actions actions;
  {
    agent::MutexLock lock(&lock_);
    if (token.waits || token.call.kind == PhaseKind::kCopyOut) {
      mine.ReadClock();
      detector_.Returned(token.call, mine.at);
    }
    actions =
        turns_.Step(Returned{token.ended_after, token.marked, token.stream, token.waits}, mine.at);
  }
  Perform(actions);
}

void TurnKeeper::Ignored() { mine.past.queries.Break(); }

phase::BodyId TurnKeeper::BeforeQuery(std::uint64_t what) {
  const std::uint32_t queries = mine.past.queries.Add(what);
  return queries > 0 ? TellQueries(queries) : 0;
}

void TurnKeeper::AfterQuery(phase::BodyId ended, CUresult result) {
  End(ended);
  if (result != CUDA_ERROR_NOT_READY && mine.past.queries.Done()) End(TellQueries(1));
}

phase::BodyId TurnKeeper::TellQueries(std::uint32_t queries) {
  if (Captures::any() && IsCaptured(false, nullptr)) return 0;
  phase::Call call;
  call.kind = PhaseKind::kQuery;
  call.hash = mine.past.queries.what();
  call.context = reinterpret_cast<std::uint64_t>(CurrentContext());
  call.thread = ThisThread();
  call.queries = queries;
  Actions actions;
  phase::BodyId ended = 0;
  {
    agent::MutexLock lock(&lock_);
    mine.ReadClock();
    call.at = mine.at;
    const phase::Observation told = Observe(call);
    ended = told.verdict.ended_after;
    actions = turns_.Step(Called{call, told}, &mine.past);
  }
  Perform(actions);
  return ended;
}

int TurnKeeper::FrameworkCall(bool begins) {
  phase::Call call;
  call.kind = begins ? PhaseKind::kLabelBegin : PhaseKind::kLabelEnd;
  call.thread = ThisThread();
  call.at = Now();
  Actions actions;
  {
    agent::MutexLock lock(&lock_);
    actions = turns_.Step(Called{call, Observe(call)}, &mine.past);
  }
  Perform(actions);
  return actions.tell ? static_cast<int>(actions.tell->inference.bodies) : 0;
}

phase::Observation TurnKeeper::Observe(const phase::Call& call) {
  const phase::Observation told = detector_.Observe(call);
  if (told.ended != nullptr) Report::Get().Note(detector_);
  return told;
}

template <typename... Event>
void TurnKeeper::Do(const Event&... event) {
  Actions actions;
  {
    agent::MutexLock lock(&lock_);
    actions = turns_.Step(event...);
  }
  Perform(actions);
}

// All but `ask`, which only a driver call can lead to.
void TurnKeeper::Perform(const Actions& actions) {
  if (actions.tell) TellOver(*actions.tell);
  if (actions.leave) actions.leave->record ? Record(actions.leave->body) : GiveBack(*actions.leave);
  if (actions.mark) MarkLaunch(*actions.mark);
  if (actions.spare) watch_.PutBack(*actions.spare);
}

void TurnKeeper::TellOver(const InferenceOver& over) {
  if (over.warming_up) {
    Agent().nudge();
    Agent().count_warmup();
    Report::Get().WarmedUp();
    return;
  }
  Report::Get().Add(over.inference, over.waited);
  const int device = CurrentDevice();
  if (device < 0 || over.inference.bodies == 0) return;
  Agent().ended(static_cast<std::uint32_t>(device), static_cast<std::uint64_t>(over.post.count()),
                static_cast<std::uint64_t>(over.call.count()));
}

phase::BodyId TurnKeeper::AskTurn(const Ask& ask, const phase::Call& call) {
  Agent().nudge();
  const CUcontext context = CurrentContext();
  const int device = CurrentDevice();
  StaggerTicket ticket{};
  if (device >= 0 && Agent().gates()) AwaitOwnBodies(ask, context);
  if (device >= 0) {
    ticket = Agent().enter(static_cast<std::uint32_t>(device),
                           static_cast<std::uint64_t>(ask.since_call.count()));
  }
  Report::Get().Body(ticket.seq != 0);
  Actions actions;
  {
    agent::MutexLock lock(&lock_);
    const TimePoint now = Now();
    if (device >= 0) detector_.Returned(call, now);
    actions = turns_.Step(TurnGiven{ask.id, ticket, context}, now, &mine.past);
  }
  Perform(actions);
  return actions.ended_after;
}

void TurnKeeper::AwaitOwnBodies(const Ask& ask, CUcontext context) {
  Do(GateFound{ask.id, context}, Now());
  const TimePoint until = Now() + kLongestOwnBody;
  agent::MutexLock lock(&lock_);
  while (turns_.IsLeaving(ask.thread) && Now() < until) given_back_.WaitUntil(&lock_, until);
}

void TurnKeeper::End(phase::BodyId body) {
  if (body != 0) Do(Returned{.ended = body}, mine.at);
}

void TurnKeeper::Record(const Body& body) {
  const auto done = [](const Body& watched, TimePoint over) { Get().DeviceIsDone(watched, over); };
  if (!watch_.Watch(body, done)) DeviceIsDone(body, TimePoint{});
}

// On the body watch's thread, or on the app's where the body cannot be watched.
void TurnKeeper::DeviceIsDone(const Body& body, TimePoint over) {
  Do(DeviceDone{body, over});
  given_back_.NotifyAll();
}

void TurnKeeper::GiveBack(const Leave& leave) {
  const Body& body = leave.body;
  if (body.has_turn()) Agent().leave(body.ticket, 0);
  watch_.ForgetMarks(body);
  // What is left to do can wait; the daemon may have been woken on this very core.
  if (BodyWatch::IsItsThread()) sched_yield();
  TurnLog::Get().Add(body, leave.over, !BodyWatch::IsItsThread());
  agent::MutexLock lock(&lock_);
  if (leave.over != TimePoint{}) detector_.BodyMeasured(body.id, leave.over - body.begun);
  turns_.Step(GivenBack{body.id});
  given_back_.NotifyAll();
}

void TurnKeeper::MarkLaunch(const Mark& mark) {
  const CUevent event = watch_.Mark(mark.context, mark.event, mark.stream);
  Do(Marked{mark, event}, Now());
  watch_.KeepLooking([] { return Get().EndIdleBodies(); });
}

// On the body watch's thread: whether there are marked bodies left.
bool TurnKeeper::EndIdleBodies() {
  for (phase::BodyId last = 0;;) {
    std::optional<Body> idle;
    {
      agent::MutexLock lock(&lock_);
      idle = turns_.Idle(last, Now());
      if (!idle) return turns_.HasMarked();
    }
    last = idle->id;
    if (!BodyWatch::PassedMarks(*idle)) continue;
    Actions actions;
    {
      agent::MutexLock lock(&lock_);
      actions = turns_.Step(MarksPassed{idle->id, idle->marked_launch}, Now());
      if (actions.leave) detector_.GivenBack(idle->id);
    }
    Perform(actions);
  }
}

void TurnKeeper::NoteAtExit() {
  agent::MutexLock lock(&lock_);
  Report::Get().Note(detector_);
  Report::Get().End();
}

}  // namespace stagger::cuda_agent
