// The measurements behind `stagger bench gate`, one block at a time, against a daemon that gives
// one turn at once. Times in microseconds.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/gate_clients.h"
#include "cli/stop_signal.h"

namespace stagger::cli {

struct GateBlock {
  std::vector<double> ping_pong;  // a bare packet there and back between two processes
  std::vector<double> grant;      // request to grant, nobody waiting
  std::vector<double> hand_over;  // one's release to the waiting other's grant
  std::vector<double> killed;     // the holder's SIGKILL to the waiting other's grant
};

class GateTrial {
 public:
  static Result<GateTrial> Prepare(const std::string& socket);

  // `samples` of each kind, and `kills` of the last.
  Result<GateBlock> RunBlock(int samples, int kills, StopSignal& stop);

  // CPU time of the processes on our side so far.
  Duration PartnersCpuTime() const;

 private:
  GateTrial(std::string socket, GateClient client, Partner echo, Partner waiter);

  std::string socket_;
  GateClient client_;
  Partner echo_;
  Partner waiter_;
};

// The daemon's share of one core while clients ask for `rate` turns a second in all, one figure per
// second.
Result<std::vector<double>> DaemonShare(const std::string& socket, pid_t daemon, int rate,
                                        int seconds, StopSignal& stop);

}  // namespace stagger::cli
