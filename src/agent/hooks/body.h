// One framework call and, unless its bodies are found elsewhere, its gated body: asks for the turn
// when made, places the threads, gives the turn back when it ends. Made and destroyed by the thread
// that makes the call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "agent/gate.h"
#include "agent/pool.h"
#include "agent/sessions.h"

namespace stagger::agent {

// Of the calling thread: how many framework calls it is inside of.
int FrameworkDepth();
// As in agent/interface.h.
void WatchFramework(int (*call)(bool begins));

// As in agent/interface.h.
void DueIn(std::int64_t ns);
// The start from which the stream's deadline yields the due time that DueIn set for the calling
// thread; `start` itself where none was set.
TimePoint StartByDue(TimePoint start);

// The body's end is also the call's. `begun`: when it had its turn; 0 if it never asked.
void LeaveWithCall(const Ticket& ticket, TimePoint call_start, TimePoint begun);

class Body {
 public:
  explicit Body(const void* session);
  ~Body();
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  TimePoint call_start() const { return call_start_; }
  TimePoint begun() const { return begun_; }
  // The body goes on after this object: the holder of the ticket leaves the gate with it.
  Ticket HandOver();

 private:
  TimePoint call_start_;
  TimePoint begun_{};
  bool handed_over_ = false;
  std::shared_ptr<Session> session_;
  Ticket ticket_;
  std::optional<PinCaller> caller_;
};

}  // namespace stagger::agent
