#include "agent/link.h"

#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "agent/other_agents.h"
#include "base/clock.h"
#include "wire/channel.h"
#include "wire/timers.h"

namespace stagger::agent {
namespace {

constexpr Duration kFirstRetry = std::chrono::milliseconds{50};
constexpr Duration kLastRetry = std::chrono::milliseconds{400};  // attached again within 1 s
// closefrom() in the app takes our socket away without waking a poll on it; looking now and then
// is what notices it.
constexpr int kLookEveryMs = 400;

bool AwaitMessage(int fd, TimePoint until, wire::Message* message) {
  while (true) {
    switch (wire::ReceiveShort(fd, message)) {
      case wire::Io::kOk:
        return true;
      case wire::Io::kClosed:
      case wire::Io::kMalformed:
        return false;
      case wire::Io::kWouldBlock:
        break;
    }
    const Duration left = until - Now();
    if (left <= Duration::zero()) return false;
    pollfd poll_fd{fd, POLLIN, 0};
    poll(&poll_fd, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }
}

}  // namespace

void Link::Nudge() {
  if (!needed_.load(std::memory_order_relaxed) && !needed_.exchange(true)) {
    MutexLock lock(&mutex_);
    if (!complaint_.empty()) SayOnce(complaint_topic_, complaint_);
  }
  NudgeForwarded();
}

void Link::Complain(Topic topic, const std::string& text) {
  // With no executors to go on with, the daemon is what is missing.
  if (needed_.load() || options_->executors.empty()) return SayOnce(topic, text);
  MutexLock lock(&mutex_);
  complaint_topic_ = topic;
  complaint_ = text;
}

Link::Outcome Link::Refuse(const std::string& reason) {
  SayOnce(Topic::kRefused, "running uncontrolled: the daemon refused: " + reason);
  return {.again = wire::kAfterRefused};
}

void Link::AwaitFirstWord(Duration longest) {
  NudgeForwarded();
  const TimePoint until = Now() + longest;
  MutexLock lock(&mutex_);
  while (!tried_ && Now() < until) nudged_.WaitUntil(&mutex_, until);
}

void Link::NudgeForwarded() {
  if (!started_.load(std::memory_order_relaxed) && !started_.exchange(true)) {
    if (!StartThread(&Link::Main, this)) {
      SayOnce(Topic::kDaemon, "no thread could be started; running uncontrolled");
    }
  } else if (waiting_.load(std::memory_order_relaxed)) {
    MutexLock lock(&mutex_);
    waiting_.store(false);
    nudged_.NotifyAll();
  }
}

void* Link::Main(void* self) {
  prctl(PR_SET_NAME, "stagger-link", 0, 0, 0);
  static_cast<Link*>(self)->Run();
  return nullptr;
}

void Link::Run() {
  SayIfSeveral();
  Duration pause = kFirstRetry;
  while (true) {
    // An inference from here on makes the link try again.
    WantNudge();
    const Outcome outcome = Connect();
    {
      MutexLock lock(&mutex_);
      tried_ = true;
      nudged_.NotifyAll();
    }
    if (outcome.attached) {
      WatchUntilGone();
      WantNudge();
      pause = kFirstRetry;
    }
    if (outcome.again > Duration{}) {
      Pause(outcome.again);
      pause = kFirstRetry;
    } else {
      Pause(pause);
      pause = std::min(pause * 2, kLastRetry);
    }
  }
}

void Link::WantNudge() {
  // An executor must be known to the daemon before anything infers, so it does not wait for that.
  waiting_.store(options_->serves.empty());
}

// At least so long, and until something has inferred since WantNudge: an app that infers now and
// then does not need one more inference to attach, and an idle one costs nothing.
void Link::Pause(Duration least) {
  const TimePoint until = Now() + least;
  MutexLock lock(&mutex_);
  while (waiting_.load() || Now() < until) {
    nudged_.WaitUntil(&mutex_, Now() < until ? until : Now() + std::chrono::hours{1});
  }
}

Link::Outcome Link::Connect() {
  Result<UniqueFd> connected = wire::Connect(options_->socket);
  if (!connected) {
    Complain(Topic::kDaemon, "running uncontrolled: " + connected.error().message);
    return {};
  }
  OwnSocket socket(std::move(*connected));
  wire::Message message;
  const TimePoint until = Now() + wire::kWelcomeLimit;
  // A daemon that has no room says so before it hears us, and may hang up before we have spoken.
  wire::Send(socket.get(), options_->hello);
  std::optional<wire::Welcome> welcome;
  std::optional<wire::Assign> assign;
  while (AwaitMessage(socket.get(), until, &message)) {
    if (const auto* refused = std::get_if<wire::Refused>(&message)) {
      return Refuse(refused->reason);
    }
    if (const auto* later = std::get_if<wire::RetryAfter>(&message)) {
      Complain(Topic::kNoRoom, "running uncontrolled for now: " + later->reason);
      return {.again = std::clamp(later->after, wire::kSoonestRetry, wire::kLatestRetry)};
    }
    if (auto* welcomed = std::get_if<wire::Welcome>(&message)) {
      if (welcomed->version != wire::kProtocolVersion) {
        return Refuse("it speaks protocol " + std::to_string(welcomed->version));
      }
      welcome = std::move(*welcomed);
    }
    if (auto* assigned = std::get_if<wire::Assign>(&message)) assign = std::move(*assigned);
    if (const auto* config = std::get_if<wire::Config>(&message); config != nullptr && welcome) {
      gate_->Attach(std::move(socket), *config, welcome->gpus);
      if (!options_->serves.empty()) gate_->Tell(wire::Serves{options_->serves});
      if (options_->forwards) {
        route_->Report(true);
        if (assign) route_->Assign(assign->executors, assign->standby);
      }
      return {.attached = true};
    }
  }
  Complain(Topic::kDaemon,
           "running uncontrolled: the daemon at " + options_->socket + " did not answer");
  return {};
}

void Link::WatchUntilGone() {
  while (gate_->attached()) gate_->AwaitHangup(kLookEveryMs);
  gate_->Detach();
}

void Link::AfterForkInChild() {
  nudged_.Renew();
  started_.store(false);
  waiting_.store(false);
  tried_ = false;
  mutex_.Renew();
}

}  // namespace stagger::agent
