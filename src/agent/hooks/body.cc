#include "agent/hooks/body.h"

#include <algorithm>

#include "agent/state.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {
constinit thread_local int depth = 0;
}

int FrameworkDepth() { return depth; }

void LeaveWithCall(const Ticket& ticket, TimePoint call_start) {
  // 0 would mean that the call goes on.
  State::Get().gate.Leave(ticket, std::max(Now() - call_start, Duration{1}));
}

Body::Body(const void* session) : call_start_(Now()) {
  ++depth;
  State& state = State::Get();
  state.link.Nudge();
  session_ = state.sessions.Find(session, state.options.warmup);
  if (!session_->controlled) return;
  unsigned left = session_->warmup_left.load(std::memory_order_relaxed);
  while (left > 0 && !session_->warmup_left.compare_exchange_weak(left, left - 1)) {
  }
  if (left > 0) {
    state.gate.CountWarmup();
    return;
  }
  ticket_ = state.gate.Enter(wire::kCpuDevice, call_start_);
  // An uncontrolled body has no cores, so its threads go back to wherever the app had them.
  if (session_->pool) {
    session_->pool->Place(ticket_.cores);
    caller_.emplace(ticket_.cores);
  }
}

Ticket Body::HandOver() {
  caller_.reset();  // an asynchronous body computes on the pool's threads only
  const Ticket ticket = ticket_;
  ticket_ = {};
  return ticket;
}

// The turn goes back before the caller's place does: somebody may wait for it.
Body::~Body() {
  --depth;
  LeaveWithCall(ticket_, call_start_);
}

}  // namespace stagger::agent
