// The gate: where a body waits for its turn. One per process.
//
// Owns what this process knows of its turn on the CPU device, and the connection's inbox. Called by
// the app's threads (Enter, Leave) and the link thread (Attach, Detach). Rules:
// - No thread of the app ever waits on another thread of the app: while the process holds its turn,
//   further bodies join it; while it asks for one, they wait for the same answer.
// - No wait is longer than the bound the daemon announced. After it the body runs uncontrolled.
// - Nothing here exits, aborts, throws or prints per call. Trouble means "run uncontrolled".
#pragma once

#include <array>

#include "agent/sync.h"
#include "base/fd.h"
#include "base/time.h"
#include "wire/messages.h"

namespace stagger::agent {

// What Enter hands out and Leave takes back.
struct Ticket {
  TurnSeq seq{};         // 0: uncontrolled, nothing to give back
  wire::CoreMask cores;  // where the body should run; empty: anywhere
};

class Gate {
 public:
  // Before a body; `call_start` is when the framework call began. Blocks up to the bound.
  Ticket Enter(TimePoint call_start);
  // After the body, on any thread.
  void Leave(const Ticket& ticket, TimePoint call_start);
  // A body that ran without asking, while its session warmed up.
  void CountWarmup();

  bool attached();
  // Link thread: returns when the daemon hangs up, or after `ms` to look around.
  void AwaitHangup(int ms);

  // Link thread: a connection that has said Hello and been welcomed. If a body runs right now it is
  // claimed, so that a restarted daemon knows who holds what.
  void Attach(UniqueFd socket, const wire::Config& config);
  // Link thread: closes the connection; whoever waits runs on uncontrolled.
  void Detach();

  // pthread_atfork: a child starts with nothing held and no connection.
  void BeforeFork() { mutex_.Lock(); }
  void AfterForkInParent() { mutex_.Unlock(); }
  void AfterForkInChild();

 private:
  enum class Phase : unsigned char { kIdle, kRequesting, kHeld };
  struct Turn {
    Phase phase = Phase::kIdle;
    TurnSeq seq{};
    int bodies = 0;  // of this process, running under this turn
    wire::CoreMask cores;
    TimePoint start;
    TimePoint lease_end = kNever;
    Duration wait{};
  };

  bool SocketIsOurs() const;  // the app may have closed it (closefrom) and reused the number
  void Drop();                // stop using the socket; the link thread will notice and close it
  bool Send(const wire::Message& message);
  void Drain();  // reads all that has come
  void Handle(const wire::Message& message, TimePoint now);
  Ticket Ask(TimePoint call_start);
  Ticket JoinCurrent();  // one more body under the turn we hold
  TimePoint WaitEnd(TimePoint now) const;

  Mutex mutex_;
  Condition changed_;
  UniqueFd socket_;
  unsigned long socket_inode_ = 0;
  bool attached_ = false;
  bool reading_ = false;  // an app thread polls the socket outside the lock
  wire::Config config_;
  TurnSeq last_seq_{};
  Turn turn_;
  // Turns whose lease ended while bodies still ran: given back late, by the last of their bodies.
  std::array<Turn, 4> overdue_{};
  // A daemon that did not answer within the bound is asked again only now and then.
  bool muted_ = false;
  TimePoint muted_until_{};
  std::uint32_t warmup_ = 0;
};

}  // namespace stagger::agent
