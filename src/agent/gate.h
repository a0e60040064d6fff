// The gate: where a body waits for its turn. One per process.
//
// Owns what this process knows of its turns, one per device, and the connection's inbox. Called by
// the app's threads (Enter, Leave) and the link thread (Attach, Detach). Rules:
// - No thread of the app ever waits on another thread of the app: while the process holds its turn
//   on a device, further bodies join it; while it asks for one, they wait for the same answer.
// - No wait is longer than the bound the daemon announced. After it the body runs uncontrolled.
// - Nothing here exits, aborts, throws or prints per call. Trouble means "run uncontrolled".
// - One thread at a time reads the inbox, for all that wait. A thread that stops reading wakes
//   the others, and one of them takes over.
//
// Devices have this process's own numbers here: 0 is the CPU, a GPU gets the next one when a daemon
// first names it and keeps it, however another daemon numbers its GPUs.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "agent/forward/shared.h"
#include "agent/sync.h"
#include "base/slot_clock.h"
#include "base/time.h"
#include "wire/messages.h"

namespace stagger::agent {

// What Enter hands out and Leave takes back.
struct Ticket {
  TurnSeq seq{};  // 0: uncontrolled, nothing to give back
  DeviceId device{};
  wire::CoreMask cores{};  // where the body should run; empty: anywhere
};

class Route;  // forward/route.h

class Gate {
 public:
  Gate();

  // The number of a GPU that the daemon shares out; empty while there is no daemon, too.
  std::optional<DeviceId> DeviceOf(const wire::GpuUuid& uuid);

  // Before a body; `call_start` is when the framework call began. Blocks up to the bound.
  Ticket Enter(DeviceId device, TimePoint call_start);
  // After the body, on any thread. `call` is how long the whole call took; 0: it goes on, and
  // Ended follows.
  void Leave(const Ticket& ticket, Duration call);
  // An inference whose body was left with call 0 has returned. Told with the next request, or when
  // none comes soon.
  void Ended(DeviceId device, Duration post, Duration call);
  // A body that ran without asking, while its session warmed up.
  void CountWarmup();
  // A GPU failed under the process; -1: the only one that there is. `code` is the driver's.
  void Faulted(int device, std::uint32_t code);

  // Something to tell the daemon, if there is one; nothing comes back.
  void Tell(const wire::Message& message);
  // From now on Assign goes to `route`, and the link thread reads what comes while nobody else
  // does.
  void ListenFor(Route* route) { route_ = route; }

  // ---- calls beyond the stream's rate (gate_slots.cc). Without a daemon that gates there are
  // none. `clock` belongs to whatever is called so often, and is used under the gate's lock only.

  // Under `pace`, before a call: waits for the clock's next slot, later where the daemon has
  // lowered the rate.
  void AwaitSlot(SlotClock* clock, Duration period);
  // The same for bodies on a device, unless the process has or awaits its turn there already. What
  // it waited counts in no call that Leave and Ended tell of.
  void AwaitSlot(DeviceId device, Duration period);
  // Under `reuse`, for each call: whether it has a slot. kNone: nothing is to be reused now.
  enum class Slot : unsigned char { kNone, kTaken, kEarly };
  Slot TakeSlot(SlotClock* clock);
  void CountSkipped();
  // `reuse` cannot be had for a session.
  void RefuseReuse();

  bool attached();
  // Whether bodies wait for turns now.
  bool gates();
  // Link thread: returns when the daemon hangs up, or after `ms` to look around. Tells what has
  // waited for a request in vain.
  void AwaitHangup(int ms);

  // Link thread: a connection that has said Hello and been welcomed. Bodies that run right now are
  // claimed, so that a restarted daemon knows which turns are held.
  void Attach(OwnSocket socket, const wire::Config& config, std::span<const wire::Gpu> gpus);
  // Link thread: closes the connection; threads that wait run on uncontrolled.
  void Detach();

  // pthread_atfork: a child starts with nothing held and no connection.
  void BeforeFork() ACQUIRE(mutex_) { mutex_.Lock(); }
  void AfterForkInParent() RELEASE(mutex_) { mutex_.Unlock(); }
  void AfterForkInChild() RELEASE(mutex_);

 private:
  enum class Phase : unsigned char { kIdle, kRequesting, kHeld };
  struct Turn {
    Phase phase = Phase::kIdle;
    TurnSeq seq{};
    int bodies = 0;  // of this process, running under this turn; from the grant on
    wire::CoreMask cores;
    TimePoint asked;
    TimePoint start;
    TimePoint lease_end = kNever;
  };
  // One device, as this process sees it.
  struct DeviceEntry {
    wire::GpuUuid uuid{};
    std::optional<DeviceId> known_as;  // by the daemon; empty: it shares out no such device
    Turn turn;
    // Turns whose lease ended while bodies still ran: given back late, by the last of their bodies.
    std::array<Turn, 4> overdue{};
    SlotClock slots;
    Duration paced{};  // what its latest body waited for its slot
    std::optional<wire::Ended> unsent;
    TimePoint unsent_since{};
  };

  void Drop() REQUIRES(mutex_);  // stop using the socket; the link thread will notice and close it
  bool Send(const wire::Message& message) REQUIRES(mutex_);
  bool Await(SlotClock* clock, Duration period) REQUIRES(mutex_);  // false: no rate is kept now
  void TellExceeded(TimePoint now) REQUIRES(mutex_);
  void TellEnded(TimePoint before) REQUIRES(mutex_);  // what has been unsent since before then
  void Drain() REQUIRES(mutex_);  // reads all that has come, unless another thread reads
  void AwaitInbox(TimePoint until) REQUIRES(mutex_);  // until something may have changed
  void Handle(const wire::Message& message, TimePoint now) REQUIRES(mutex_);
  std::span<DeviceEntry> Entries() REQUIRES(mutex_) {
    return std::span(entries_).first(entry_count_);
  }
  DeviceEntry* Find(DeviceId device) REQUIRES(mutex_) {
    return device.value < entry_count_ ? &entries_[device.value] : nullptr;
  }
  static Turn* FindHeld(DeviceEntry& entry, TurnSeq seq);
  Ticket Ask(DeviceId device, DeviceEntry& entry, TimePoint call_start) REQUIRES(mutex_);
  static Ticket Join(DeviceId device, Turn& turn);  // one more body under the turn we hold
  TimePoint WaitEnd(TimePoint now) const REQUIRES(mutex_);
  void Recognise(const wire::Gpu& gpu) REQUIRES(mutex_);

  Route* route_ = nullptr;  // null: this process does not forward
  Mutex mutex_;
  Condition changed_;
  OwnSocket socket_ GUARDED_BY(mutex_);  // the app may close it and use the number for its own
  bool attached_ GUARDED_BY(mutex_) = false;
  bool reading_ GUARDED_BY(mutex_) = false;  // an app thread polls the socket outside the lock
  wire::Config config_ GUARDED_BY(mutex_);
  TurnSeq last_seq_ GUARDED_BY(mutex_){};
  // By DeviceId. GPUs beyond its end, of several daemons in one process's life, run uncontrolled.
  std::array<DeviceEntry, 1 + wire::kMaxGpus> entries_ GUARDED_BY(mutex_){};
  std::size_t entry_count_ GUARDED_BY(mutex_) = 1;
  std::uint32_t last_gpu_ GUARDED_BY(mutex_) = 0;  // that a turn was asked for on; 0: none
  // A daemon that did not answer within the bound is asked again only now and then.
  bool muted_ GUARDED_BY(mutex_) = false;
  TimePoint muted_until_ GUARDED_BY(mutex_){};
  std::uint32_t warmup_ GUARDED_BY(mutex_) = 0;
  wire::Exceeded exceeded_ GUARDED_BY(mutex_);  // not told yet
  TimePoint exceeded_told_ GUARDED_BY(mutex_){};
};

}  // namespace stagger::agent
