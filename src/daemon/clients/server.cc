#include "daemon/clients/server.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/try.h"
#include "wire/timers.h"

namespace stagger::daemon {

namespace {

constexpr int kAcceptsPerWakeup = 16;
constexpr int kLastWords = 1024;  // messages still read from a process that has ended
constexpr Duration kAcceptPause = std::chrono::milliseconds{100};

}  // namespace

Server::~Server() {
  for (auto& [id, connection] : connections_) {
    loop_->Unwatch(connection.watch);
    loop_->Unwatch(connection.process_watch);
  }
  loop_->Unwatch(listener_watch_);
}

Result<void> Server::Start(UniqueFd listener, EngineHost* host, Commands* commands) {
  host_ = host;
  commands_ = commands;
  listener_ = std::move(listener);
  lease_timer_ = STAGGER_TRY(Timer::Create(loop_, [this] { OnLeaseTimer(); }));
  session_timer_ = STAGGER_TRY(Timer::Create(loop_, [this] { OnSessionTimer(); }));
  listener_watch_ =
      STAGGER_TRY(loop_->Watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { OnAccept(); }));
  return {};
}

void Server::OnAccept() {
  for (int i = 0; i < kAcceptsPerWakeup; ++i) {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The listener stays readable: without a pause this would spin.
        spdlog::warn("cannot accept a client: {}", std::strerror(errno));
        loop_->Change(listener_watch_, 0);
        accept_paused_ = true;
        session_timer_->ArmBy(Now() + kAcceptPause);
      }
      return;
    }
    Admit(std::move(fd));
  }
}

void Server::Admit(UniqueFd fd) {
  const TimePoint now = Now();
  auto peer = wire::PeerOf(fd.get());
  if (!peer) return;
  if (connections_.size() >= kMaxClients) {
    ++host_->ledger().refused;
    if (refused_pids_.insert(peer->pid).second) {
      spdlog::warn("refused pid {}: {} clients are connected", peer->pid, kMaxClients);
    }
    wire::Send(fd.get(),
               wire::RetryAfter{wire::kNoRoomRetry, "this daemon already has " +
                                                        std::to_string(kMaxClients) + " clients"});
    return;
  }
  const ClientId id{next_client_++};
  const int raw = fd.get();
  const Access access = AccessOf(raw, *peer, group_);
  Connection connection;
  connection.session = std::make_unique<Session>(id, std::move(fd), *peer, access, now);
  auto watch = loop_->Watch(raw, EPOLLIN, [this, id](std::uint32_t e) { OnReady(id, e); });
  if (!watch) {
    spdlog::warn("cannot serve pid {}: {}", peer->pid, watch.error().message);
    return;
  }
  connection.watch = *watch;
  connection.interest = EPOLLIN;
  if (peer->pid > 0) {
    // Best effort (Linux 5.3): without it, the end of the connection still tells.
    connection.process = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, peer->pid, 0)));
    if (connection.process.valid()) {
      auto gone = loop_->Watch(connection.process.get(), EPOLLIN,
                               [this, id](std::uint32_t) { OnProcessGone(id); });
      if (gone) connection.process_watch = *gone;
    }
  }
  session_timer_->ArmBy(connection.session->deadline());
  connections_.emplace(id, std::move(connection));
}

void Server::OnReady(ClientId id, std::uint32_t events) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& connection = it->second;
  if ((events & EPOLLOUT) != 0) connection.session->Flush(Now());
  // One message per wakeup: a client that sends much does not hold up the others.
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadOne(&connection);
  UpdateInterest(&connection);
  DeliverAndReap();
}

void Server::OnProcessGone(ClientId id) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  for (int i = 0; i < kLastWords && ReadOne(&it->second); ++i) {
  }
  if (!it->second.doomed) Doom(&it->second, "");
  DeliverAndReap();
}

bool Server::ReadOne(Connection* connection) {
  if (connection->doomed) return false;
  Session& session = *connection->session;
  wire::Message message;
  std::size_t appended = 0;
  wire::Io io = wire::Receive(session.fd(), &message, &appended);
  // A peer that closed with packets of ours unread shows as a reset first; what it had sent before
  // is behind that.
  if (io == wire::Io::kClosed) io = wire::Receive(session.fd(), &message, &appended);
  switch (io) {
    case wire::Io::kWouldBlock:
      return false;
    case wire::Io::kClosed:
      Doom(connection, "");
      return false;
    case wire::Io::kMalformed:
      if (session.state() == Session::State::kRefused) return true;
      Doom(connection, "it sent a malformed packet");
      return false;
    case wire::Io::kOk:
      break;
  }
  const Session::Outcome outcome = session.OnMessage(message, host_, commands_, Now());
  if (appended > 0 && !std::exchange(connection->newer, true)) {
    spdlog::info("{} is newer than this daemon, which skips what it does not know of its messages",
                 session.Label());
  }
  if (!outcome.refused.empty()) LogRefusal(session, outcome.refused);
  if (!outcome.drop.empty()) Doom(connection, outcome.drop);
  if (session.follows()) following_.insert(session.id());
  return !connection->doomed;
}

void Server::Deliver(const Outgoing& outgoing) {
  const auto it = connections_.find(outgoing.to);
  if (it == connections_.end() || it->second.doomed) return;
  Connection& connection = it->second;
  if (!connection.session->Send(outgoing.message, Now())) {
    Doom(&connection, Session::kDeaf);
  } else if (connection.session->has_pending()) {
    UpdateInterest(&connection);
  }
}

void Server::Answer(ClientId id, const Commands::Answer& answer) {
  const auto it = connections_.find(id);
  if (it == connections_.end() || it->second.doomed) return;
  const Session::Outcome outcome = it->second.session->Answer(answer, commands_, Now());
  if (!outcome.drop.empty()) Doom(&it->second, outcome.drop);
  UpdateInterest(&it->second);
  DeliverAndReap();
}

void Server::UpdateInterest(Connection* connection) {
  if (connection->doomed) return;
  const Session& session = *connection->session;
  const bool pending = session.has_pending();
  // A command line gets its answer before it may ask again: that bounds what is kept for it.
  const std::uint32_t interest = (session.answering() ? 0U : EPOLLIN) | (pending ? EPOLLOUT : 0U);
  if (interest != connection->interest) loop_->Change(connection->watch, interest);
  connection->interest = interest;
  session_timer_->ArmBy(session.deadline());
}

void Server::Doom(Connection* connection, const std::string& reason) {
  if (connection->doomed) return;
  connection->doomed = true;
  if (!reason.empty()) {
    ++host_->ledger().dropped;
    spdlog::warn("dropped {}: {}", connection->session->Label(), reason);
  }
  doomed_.push_back(connection->session->id());
}

void Server::DeliverAndReap() {
  // One client's end frees turns, whose grants may find another that has gone.
  while (true) {
    host_->TakeOutgoing(&outgoing_);
    for (const Outgoing& outgoing : outgoing_) Deliver(outgoing);
    for (const ClientId id : following_) {
      Connection& connection = connections_.at(id);
      if (connection.doomed) continue;
      if (!connection.session->TellNews(commands_, Now())) {
        Doom(&connection, Session::kDeaf);
      } else if (connection.session->has_pending()) {
        UpdateInterest(&connection);
      }
    }
    if (doomed_.empty()) break;
    const ClientId id = doomed_.back();
    doomed_.pop_back();
    const auto it = connections_.find(id);
    if (it == connections_.end()) continue;
    loop_->Unwatch(it->second.watch);
    if (it->second.process_watch != 0) loop_->Unwatch(it->second.process_watch);
    connections_.erase(it);
    following_.erase(id);
    host_->Leave(id, Now());
  }
  lease_timer_->ArmBy(host_->NextDeadline());
}

void Server::OnLeaseTimer() {
  const TimePoint now = Now();
  if (host_->NextDeadline() <= now) host_->Tick(now);
  DeliverAndReap();
}

void Server::OnSessionTimer() {
  const TimePoint now = Now();
  if (accept_paused_) {
    accept_paused_ = false;
    loop_->Change(listener_watch_, EPOLLIN);
  }
  TimePoint next = kNever;
  for (auto& [id, connection] : connections_) {
    if (connection.session->deadline() <= now) {
      Doom(&connection, connection.session->overdue());
    } else {
      next = std::min(next, connection.session->deadline());
    }
  }
  session_timer_->ArmBy(next);
  DeliverAndReap();
}

void Server::LogRefusal(const Session& session, const std::string& reason) {
  ++host_->ledger().refused;
  if (refused_pids_.size() >= kMaxClients) refused_pids_.clear();
  if (refused_pids_.insert(session.peer().pid).second) {
    spdlog::warn("refused pid {} (uid {}): {}", session.peer().pid, session.peer().uid, reason);
  }
}

}  // namespace stagger::daemon
