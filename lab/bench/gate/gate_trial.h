// The measurements behind `stagger bench gate`, one block at a time, against a daemon that gives
// one turn at once: with processes that talk to the daemon directly, without an agent or an app, so
// that what is measured is the daemon and the wire alone. Each of them waits for orders on a socket
// of its own and dies with us. Times in microseconds.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "launch/stop_signal.h"
#include "wire/messages.h"

namespace stagger::cli {

// A connection as an agent has it. Used by one thread; waits by poll, never spins.
class GateClient {
 public:
  static Result<GateClient> Connect(const std::string& socket, const std::string& name);

  bool Request();
  // False on a lost connection or after 5 s.
  bool AwaitGrant();
  // Without waiting: whether the grant is there. nullopt: the connection is lost.
  std::optional<bool> PollGrant();
  bool Release(Duration body);

  int fd() const { return fd_.get(); }

 private:
  explicit GateClient(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::uint64_t seq_ = 0;
};

// A process of ours that does as it is told over a socket.
class Partner {
 public:
  // `run`, in the process, with the other end of the socket.
  static Result<Partner> Start(const std::function<void(int fd)>& run);
  Partner(Partner&& other) noexcept;
  Partner& operator=(Partner&&) = delete;
  ~Partner();  // kills and reaps it

  pid_t pid() const { return pid_; }
  // One packet there and back, which begins so; false when the partner is gone.
  bool PingPong(char first = 0);
  // Sends an order and waits for the partner's word that it is under way.
  bool Order();
  // What the partner says next: a time on the monotonic clock. nullopt when it is gone, or silent
  // for 5 s.
  std::optional<TimePoint> Answer();
  void Kill();  // SIGKILL, without waiting

 private:
  Partner(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
  pid_t pid_;
  UniqueFd fd_;
};

struct GateSamples {
  std::vector<double> ping_pong;  // a bare packet there and back between two processes
  std::vector<double> grant;      // request to grant, nobody waiting
  std::vector<double> hand_over;  // one's release to the waiting other's grant
};

// Waking a process on another core can cost ten times what it costs on the same one, and left alone
// the kernel places each pair as it likes. So everything is measured in both placements, and
// compared within one.
struct GateBlock {
  GateSamples together;        // every process on one core
  GateSamples apart;           // ours on one core; the partner, and the daemon, on another. Empty
                               // where we have but one core.
  std::vector<double> killed;  // the holder's SIGKILL to the waiting other's grant; unplaced
};

class GateTrial {
 public:
  // `daemon`: the process that serves `socket`; it must be ours to place.
  static Result<GateTrial> Prepare(const std::string& socket, pid_t daemon);

  // `samples` of each kind, and `kills` of the last.
  Result<GateBlock> RunBlock(int samples, int kills, StopSignal& stop);

  // CPU time of the processes on our side so far.
  Duration PartnersCpuTime() const;

 private:
  GateTrial(std::string socket, pid_t daemon, GateClient client, Partner echo, Partner waiter);

  Result<GateSamples> Sample(int samples, StopSignal& stop);
  // Ours, and the partners' and the daemon's.
  Result<void> PinTo(const cpu_set_t& ours, const cpu_set_t& theirs);

  std::string socket_;
  pid_t daemon_;
  cpu_set_t all_;
  GateClient client_;
  Partner echo_;
  Partner waiter_;
};

// The daemon's share of one core while clients ask for `rate` turns a second in all, one figure per
// second.
Result<std::vector<double>> DaemonShare(const std::string& socket, pid_t daemon, int rate,
                                        int seconds, StopSignal& stop);

}  // namespace stagger::cli
