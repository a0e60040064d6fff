#include "agent/hooks/body.h"

#include <algorithm>
#include <atomic>

#include "agent/report.h"
#include "agent/state.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {
constinit thread_local int depth = 0;
constinit thread_local TimePoint due{};  // of what this thread infers; zero: nothing was said
constinit std::atomic<int (*)(bool)> framework_watch{nullptr};
// Calls without a body after which a session is taken to compute here after all.
constexpr unsigned kCallsWithout = 8;

int Tell(bool begins) {
  int (*const watch)(bool) = framework_watch.load(std::memory_order_acquire);
  return watch != nullptr && depth == 1 ? watch(begins) : 0;
}

// Bodies that another library of ours gates on a GPU: the call needs no turn of its own.
void NoteBodies(Session* session, int bodies) {
  unsigned calls = session->has_own_bodies.load(std::memory_order_relaxed);
  if (bodies > 0) {
    calls = kCallsWithout;
  } else if (calls > 0) {
    --calls;
  }
  session->has_own_bodies.store(calls, std::memory_order_relaxed);
}

}  // namespace

void WatchFramework(int (*call)(bool begins)) { framework_watch.store(call); }

int FrameworkDepth() { return depth; }

void DueIn(std::int64_t ns) {
  due = ns < 0 ? TimePoint{} : Now() + std::min(Duration{ns}, wire::kMaxDuration);
}

// The daemon reckons from an inference's start and its stream's deadline.
TimePoint StartByDue(TimePoint start) {
  const Duration deadline = State::Get().options.hello.spec.deadline;
  if (due == TimePoint{} || deadline == Duration{}) return start;
  return std::min(due - deadline, Now());
}

void LeaveWithCall(const Ticket& ticket, TimePoint call_start, TimePoint begun) {
  const TimePoint now = Now();
  // 0 would mean that the call goes on.
  State::Get().gate.Leave(ticket, std::max(now - call_start, Duration{1}));
  if (begun != TimePoint{}) ReportInference(call_start, begun, now);
}

Body::Body(const void* session) : call_start_(Now()) {
  ++depth;
  Tell(true);
  State& state = State::Get();
  state.link.Nudge();
  session_ = state.sessions.Find(session, state.options.warmup);
  if (!session_->controlled) {
    Count(&report::AgentPage::accelerated_runs);
    return;
  }
  if (session_->has_own_bodies.load(std::memory_order_relaxed) > 0) return;
  unsigned left = session_->warmup_left.load(std::memory_order_relaxed);
  while (left > 0 && !session_->warmup_left.compare_exchange_weak(left, left - 1)) {
  }
  if (left > 0) {
    state.gate.CountWarmup();
    Count(&report::AgentPage::warmups);
    return;
  }
  ticket_ = state.gate.Enter(wire::kCpuDevice, StartByDue(call_start_));
  begun_ = Now();
  Count(ticket_.seq.value != 0 ? &report::AgentPage::turns : &report::AgentPage::without_turn);
  // An uncontrolled body has no cores, so its threads go back to wherever the app had them.
  if (session_->pool) {
    session_->pool->PinTo(ticket_.cores);
    caller_.emplace(ticket_.cores);
  }
}

Ticket Body::HandOver() {
  caller_.reset();  // an asynchronous body computes on the pool's threads only
  const Ticket ticket = ticket_;
  ticket_ = {};
  handed_over_ = true;
  return ticket;
}

// The turn goes back before the caller's place does: another stream may wait for it.
Body::~Body() {
  NoteBodies(session_.get(), Tell(false));
  --depth;
  if (!handed_over_) LeaveWithCall(ticket_, call_start_, begun_);
}

}  // namespace stagger::agent
