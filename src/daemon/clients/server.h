// Accepts clients on the Unix socket, reads them one message at a time, and sees them off.
// Loop thread only. Whatever one client does, the others and the daemon go on.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "daemon/clients/commands.h"
#include "daemon/clients/engine_host.h"
#include "daemon/clients/session.h"
#include "daemon/loop/event_loop.h"

namespace stagger::daemon {

class Server {
 public:
  static constexpr std::size_t kMaxClients = 1024;

  Server(EventLoop* loop, std::optional<gid_t> group) : loop_(loop), group_(group) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Both outlive the server's last call from the loop.
  Result<void> Start(UniqueFd listener, EngineHost* host, Commands* commands);

  // What a command line asked, worked out meanwhile. One that has gone is no fault.
  void Answer(ClientId id, const Commands::Answer& answer);

  // After anything that made the host act outside a client's message: clients are told, those that
  // cannot be reached are seen off.
  void DeliverAndReap();

 private:
  struct Connection {
    std::unique_ptr<Session> session;
    EventLoop::WatchId watch = 0;
    UniqueFd process;  // a pidfd: the socket may outlive its process in a forked child
    EventLoop::WatchId process_watch = 0;
    std::uint32_t interest = 0;  // what epoll watches for: spares a system call per message
    bool newer = false;          // its messages have more fields than this daemon knows
    bool doomed = false;
  };

  void OnAccept();
  void Admit(UniqueFd fd);
  void OnReady(ClientId id, std::uint32_t events);
  void OnProcessGone(ClientId id);
  bool ReadOne(Connection* connection);  // false: nothing more to read, or doomed
  void Deliver(const Outgoing& outgoing);
  void OnLeaseTimer();
  void OnSessionTimer();
  void UpdateInterest(Connection* connection);
  void Doom(Connection* connection, const std::string& reason);
  void LogRefusal(const Session& session, const std::string& reason);

  EventLoop* loop_;
  std::optional<gid_t> group_;
  EngineHost* host_ = nullptr;
  Commands* commands_ = nullptr;
  UniqueFd listener_;
  EventLoop::WatchId listener_watch_ = 0;
  bool accept_paused_ = false;
  std::unique_ptr<Timer> lease_timer_;
  std::unique_ptr<Timer> session_timer_;
  std::map<ClientId, Connection> connections_;
  std::set<ClientId> following_;  // the news
  std::vector<ClientId> doomed_;
  std::vector<Outgoing> outgoing_;  // kept to spare an allocation per turn
  std::uint64_t next_client_ = 1;
  std::set<pid_t> refused_pids_;
};

}  // namespace stagger::daemon
