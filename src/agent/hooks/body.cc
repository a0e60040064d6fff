#include "agent/hooks/body.h"

#include "agent/state.h"
#include "base/clock.h"

namespace stagger::agent {

Body::Body(const void* session) : call_start_(Now()) {
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
  ticket_ = state.gate.Enter(call_start_);
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
Body::~Body() { State::Get().gate.Leave(ticket_, call_start_); }

}  // namespace stagger::agent
