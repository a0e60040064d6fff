// What the daemon knows of its streams beyond what the engine needs: their processes, their recent
// rates, and the totals of those that left. Loop thread only; no I/O.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/engine.h"
#include "daemon/clients/rate_window.h"

namespace stagger::daemon {

struct StreamRecord {
  std::string name;
  pid_t pid = 0;
  uid_t uid = 0;
  std::string command;
  RateWindow done;
  std::uint64_t done_seen = 0;  // of the engine's counter, already in the window
  std::string asked_name{};     // as it called itself; `name` differs if that was taken
  // Sockets of the executors that it uses now; null: it has not said that it may forward.
  std::optional<std::vector<std::string>> uses{};
  std::string serves{};  // it is an executor, with this socket; empty: it is none
};

class Ledger {
 public:
  Ledger(std::size_t devices, TimePoint now);

  void Joined(ClientId client, StreamRecord record);
  // Before the engine forgets the stream.
  void Leaving(ClientId client, const core::StreamCounters& counters);
  // After every step: takes over what the counters of `client` and of the devices gained.
  void Observe(const core::Engine& engine, ClientId client, TimePoint now);

  const StreamRecord* Find(ClientId client) const;
  StreamRecord* Find(ClientId client);
  // It is the executor at that socket; of several the one that said so first.
  void Serves(ClientId client, const std::string& socket);
  const StreamRecord* FindExecutor(const std::string& socket) const;
  const std::map<ClientId, StreamRecord>& streams() const { return streams_; }
  const StreamRecord* FindPid(pid_t pid) const;  // of several the first
  // Also of those that left, as long as they are among the newest 64 of those.
  std::map<ClientId, std::string> Names() const;
  std::optional<ClientId> Named(const std::string& name) const;
  const core::StreamCounters& left() const { return left_; }
  // Of the last `window`, the time during which at least one body ran: ns per second.
  double BusyPerSecond(const core::Engine& engine, std::size_t device, TimePoint now,
                       Duration window) const;
  TimePoint started() const { return started_; }

  std::uint64_t refused = 0;  // connections turned away
  std::uint64_t dropped = 0;  // clients that broke the protocol or stopped reading

 private:
  struct Busy {
    RateWindow window;
    Duration seen{};
    void Take(Duration busy_time, TimePoint now);
  };
  TimePoint started_;
  std::map<ClientId, StreamRecord> streams_;
  std::map<std::string, ClientId> by_name_;  // names are unique
  // Executors. One that was started again may be here before its forerunner has left.
  std::multimap<std::string, ClientId> by_socket_;
  std::vector<Busy> busy_;
  core::StreamCounters left_;
  std::deque<std::pair<ClientId, std::string>> gone_;  // oldest first
};

void AddCounters(core::StreamCounters* sum, const core::StreamCounters& more);

}  // namespace stagger::daemon
