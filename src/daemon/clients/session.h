// One connection, from its first packet to its last: an agent's stream or a command line.
// Loop thread only. Never blocks and keeps no more than its bounds for a client that does not read:
// what may wait is coalesced, what may not means that the client has to go.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ids.h"
#include "base/time.h"
#include "daemon/clients/commands.h"
#include "daemon/loop/peer.h"
#include "wire/channel.h"
#include "wire/messages.h"

namespace stagger::daemon {

class EngineHost;

class Session {
 public:
  enum class State { kNew, kAgent, kControl, kRefused };

  static constexpr Duration kLinger = std::chrono::seconds{1};  // for a refusal to be read
  static constexpr const char* kDeaf = "it does not read what it is sent";

  Session(ClientId id, UniqueFd fd, wire::PeerCredentials peer, Access access, TimePoint now);

  // What a message leads to. `drop` non-empty: the client has to go, and why.
  struct Outcome {
    std::string drop;
    std::string refused;  // it was turned away, and why; it is kept a moment to read that
  };
  Outcome OnMessage(const wire::Message& message, EngineHost* host, Commands* commands,
                    TimePoint now);

  // To the command that was asked last. What it leads to, as above.
  Outcome Answer(const Commands::Answer& answer, Commands* commands, TimePoint now);

  // False: the client does not read, so cannot take what it must have, and has to go.
  bool Send(const wire::Message& message, TimePoint now);
  void Flush(TimePoint now);  // there is room again
  // Tells a client that follows the news what there is, if the client has read all that came
  // before: one that does not read gets the latest once it does. False: as Send.
  bool TellNews(Commands* commands, TimePoint now);
  bool follows() const { return follows_; }
  // A command line's answer is on its way: until it is out the next command is not read.
  bool answering() const { return state_ == State::kControl && (awaits_answer_ || has_pending()); }
  bool has_pending() const { return config_ || assign_ || !expired_.empty() || !chunks_.empty(); }

  // By when this client must have moved on; kNever if nothing is expected of it.
  TimePoint deadline() const { return deadline_; }
  const char* overdue() const;  // what it failed to do

  ClientId id() const { return id_; }
  int fd() const { return fd_.get(); }
  State state() const { return state_; }
  const wire::PeerCredentials& peer() const { return peer_; }
  std::string Label() const;  // "stream 'gate-1' (pid 17)"

 private:
  Outcome OnFirst(const wire::Message& message, EngineHost* host, Commands* commands,
                  TimePoint now);
  Outcome Refuse(std::string reason, TimePoint now);
  static Outcome Unreachable();
  bool SendPending(TimePoint now);  // one message; false: still no room
  Outcome Handle(const wire::Control& request, Commands* commands, TimePoint now);
  bool Reply(bool ok, const std::string& body, TimePoint now);  // false: as Send

  ClientId id_;
  UniqueFd fd_;
  wire::PeerCredentials peer_;
  Access access_;
  State state_ = State::kNew;
  std::string name_;
  TimePoint deadline_;
  bool awaits_answer_ = false;

  // Waiting for room, oldest meaning last: only the latest Config and
  // Assign count.
  static constexpr std::size_t kMaxExpired = 16;
  std::optional<wire::Config> config_;
  std::optional<wire::Assign> assign_;
  std::vector<wire::Expired> expired_;
  std::deque<wire::ControlReply> chunks_;  // of one reply: no further request is read meanwhile
  bool follows_ = false;
  std::uint64_t told_ = 0;  // the news that it has had
};

}  // namespace stagger::daemon
