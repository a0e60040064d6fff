// The measurements behind `stagger bench gate`, one block at a time, against a daemon that gives
// one turn at once. Times in microseconds.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "lab/bench/gate/gate_clients.h"
#include "launch/stop_signal.h"

namespace stagger::cli {

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
  Result<void> Place(const cpu_set_t& ours, const cpu_set_t& theirs);

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
