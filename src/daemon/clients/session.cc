#include "daemon/clients/session.h"

#include <fmt/format.h>

#include <utility>

#include "daemon/clients/engine_host.h"
#include "wire/timers.h"

namespace stagger::daemon {

Session::Session(ClientId id, UniqueFd fd, wire::PeerCredentials peer, Access access, TimePoint now)
    : id_(id),
      fd_(std::move(fd)),
      peer_(peer),
      access_(access),
      deadline_(now + wire::kGreetingLimit) {}

std::string Session::Label() const {
  if (state_ == State::kAgent) return fmt::format("stream '{}' (pid {})", name_, peer_.pid);
  return fmt::format("pid {}", peer_.pid);
}

const char* Session::overdue() const {
  switch (state_) {
    case State::kNew:
      return "it never said Hello";
    case State::kRefused:
      return "";
    default:
      return kDeaf;
  }
}

Session::Outcome Session::Unreachable() { return {.drop = kDeaf, .refused = {}}; }

Session::Outcome Session::OnMessage(const wire::Message& message, EngineHost* host,
                                    Commands* commands, TimePoint now) {
  switch (state_) {
    case State::kRefused:
      return {};
    case State::kNew:
      return OnFirst(message, host, commands, now);
    case State::kControl:
      if (const auto* request = std::get_if<wire::Control>(&message)) {
        return Handle(*request, commands, now);
      }
      return {.drop = "a command line sent something other than a command", .refused = {}};
    case State::kAgent:
      if (host->OnMessage(id_, message, now)) return {};
      return {.drop = "it sent a message that agents do not send", .refused = {}};
  }
  return {};
}

Session::Outcome Session::OnFirst(const wire::Message& message, EngineHost* host,
                                  Commands* commands, TimePoint now) {
  const auto* hello = std::get_if<wire::Hello>(&message);
  const auto* request = std::get_if<wire::Control>(&message);
  if (hello == nullptr && request == nullptr) {
    return {.drop = "its first message was neither a greeting nor a command", .refused = {}};
  }
  const std::uint16_t version = hello != nullptr ? hello->version : request->version;
  if (version != wire::kProtocolVersion) {
    return Refuse(fmt::format("staggerd {} speaks protocol {}, this client speaks {}: install the "
                              "same version of both",
                              STAGGER_VERSION, wire::kProtocolVersion, version),
                  now);
  }
  if (access_ == Access::kStranger) {
    return Refuse(fmt::format("uid {} may not use this daemon: it serves uid {} and its group, if "
                              "one is configured (--group)",
                              peer_.uid, geteuid()),
                  now);
  }
  deadline_ = kNever;
  if (request != nullptr) {
    state_ = State::kControl;
    return Handle(*request, commands, now);
  }
  state_ = State::kAgent;
  // Before the engine hears of it: what it then has to say must come after the welcome.
  if (!Send(host->WelcomeFor(id_, hello->features), now)) return Unreachable();
  name_ =
      host->Join(id_, *hello, CommOf(peer_.pid), peer_.pid, peer_.uid, CommandOf(peer_.pid), now);
  return {};
}

Session::Outcome Session::Refuse(std::string reason, TimePoint now) {
  // Closing now, with packets unread, would turn the refusal into a bare ECONNRESET at the peer.
  Outcome outcome = Send(wire::Refused{reason}, now) ? Outcome{} : Unreachable();
  state_ = State::kRefused;
  deadline_ = now + kLinger;
  outcome.refused = std::move(reason);
  return outcome;
}

Session::Outcome Session::Handle(const wire::Control& request, Commands* commands, TimePoint now) {
  const auto answer = commands->Handle(request.verb, request.body, {id_, access_, peer_.pid}, now);
  awaits_answer_ = !answer;
  return answer ? Answer(*answer, commands, now) : Outcome{};
}

Session::Outcome Session::Answer(const Commands::Answer& answer, Commands* commands,
                                 TimePoint now) {
  awaits_answer_ = false;
  follows_ = follows_ || answer.follows;
  if (!Reply(answer.ok, answer.body, now)) return Unreachable();
  if (answer.stop) commands->Stop();
  return {};
}

bool Session::Reply(bool ok, const std::string& body, TimePoint now) {
  for (std::size_t at = 0; at == 0 || at < body.size(); at += wire::kMaxChunk) {
    const bool more = body.size() - at > wire::kMaxChunk;
    if (!Send(wire::ControlReply{ok, more, body.substr(at, wire::kMaxChunk)}, now)) return false;
  }
  return true;
}

bool Session::TellNews(Commands* commands, TimePoint now) {
  while (!answering()) {
    const std::optional<std::string> news = commands->News(peer_.pid, &told_);
    if (!news) return true;
    if (!Reply(true, *news, now)) return false;
  }
  return true;
}

bool Session::Send(const wire::Message& message, TimePoint now) {
  if (!has_pending()) {
    const wire::Io io = wire::Send(fd_.get(), message);
    // A peer that has gone may have left messages that still count. They are read first; the end
    // of the connection comes after them.
    if (io == wire::Io::kOk || io == wire::Io::kClosed) return true;
    if (io != wire::Io::kWouldBlock) return false;
    if (deadline_ == kNever && !follows_) deadline_ = now + wire::kAnswerLimit;
  }
  if (const auto* config = std::get_if<wire::Config>(&message)) {
    config_ = *config;
    return true;
  }
  if (const auto* assign = std::get_if<wire::Assign>(&message)) {
    assign_ = *assign;
    return true;
  }
  if (const auto* expired = std::get_if<wire::Expired>(&message)) {
    expired_.push_back(*expired);
    return expired_.size() <= kMaxExpired;
  }
  if (const auto* reply = std::get_if<wire::ControlReply>(&message)) {
    chunks_.push_back(*reply);
    return true;
  }
  // A grant that waits would be a turn that nobody uses.
  return false;
}

bool Session::SendPending(TimePoint now) {
  const wire::Io io = !expired_.empty() ? wire::Send(fd_.get(), expired_.front())
                      : assign_         ? wire::Send(fd_.get(), *assign_)
                      : config_         ? wire::Send(fd_.get(), *config_)
                                        : wire::Send(fd_.get(), chunks_.front());
  if (io == wire::Io::kWouldBlock) return false;
  // It reads again, or is gone. A process that follows may have been stopped for a while.
  if (!follows_) deadline_ = now + wire::kAnswerLimit;
  if (!expired_.empty()) {
    expired_.erase(expired_.begin());
  } else if (assign_) {
    assign_.reset();
  } else if (config_) {
    config_.reset();
  } else {
    chunks_.pop_front();
  }
  return true;
}

void Session::Flush(TimePoint now) {
  if (state_ == State::kRefused) return;
  while (has_pending() && SendPending(now)) {
  }
  if (!has_pending()) deadline_ = kNever;
}

}  // namespace stagger::daemon
