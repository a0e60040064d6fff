#include "daemon/plan/executor_watch.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "wire/executor_channel.h"
#include "wire/timers.h"

namespace stagger::daemon {

namespace {

constexpr Duration kTryEvery = std::chrono::milliseconds{50};

}  // namespace

Result<std::unique_ptr<ExecutorWatch>> ExecutorWatch::Create(EventLoop* loop, std::string socket,
                                                             Callbacks callbacks) {
  std::unique_ptr<ExecutorWatch> watch(
      new ExecutorWatch(loop, std::move(socket), std::move(callbacks)));
  auto timer = Timer::Create(loop, [raw = watch.get()] { raw->OnTimer(); });
  if (!timer) return timer.error();
  watch->timer_ = std::move(timer).value();
  const TimePoint now = Now();
  watch->away_since_ = now;
  watch->why_ = "nobody listens at its socket";
  watch->TryConnect(now);  // else the timer goes on
  watch->timer_->ArmBy(now + kTryEvery);
  return watch;
}

ExecutorWatch::~ExecutorWatch() { Let(); }

void ExecutorWatch::Let() {
  if (watch_ != 0) loop_->Unwatch(watch_);
  watch_ = 0;
  fd_.Reset();
}

bool ExecutorWatch::TryConnect(TimePoint now) {
  Result<UniqueFd> connected = wire::Connect(socket_);
  if (!connected) return false;
  fd_ = std::move(connected).value();
  auto watch = loop_->Watch(fd_.get(), EPOLLIN, [this](std::uint32_t) { OnReady(); });
  if (!watch) {
    fd_.Reset();
    return false;
  }
  watch_ = *watch;
  asked_ = kNever;
  Ask(now);
  return true;
}

void ExecutorWatch::Ask(TimePoint now) {
  ask_at_ = now + kAskEvery;
  if (wire::Send(fd_.get(), wire::ExecutorMessage{wire::StatusRequest{}}) == wire::Io::kOk) {
    asked_ = std::min(asked_, now);
  }
}

void ExecutorWatch::OnReady() {
  wire::ExecutorMessage message;
  wire::Descriptors none;
  switch (wire::Receive(fd_.get(), &message, &none)) {
    case wire::Io::kWouldBlock:
      return;
    case wire::Io::kOk:
      if (const auto* told = std::get_if<wire::StatusReply>(&message)) {
        asked_ = kNever;
        // One that listens is not yet one that answers.
        if (std::exchange(gone_, false)) callbacks_.back();
        callbacks_.told(told->chunk);
        return;
      }
      why_ = "it refuses this daemon";
      break;
    case wire::Io::kClosed:
    case wire::Io::kMalformed:
      why_ = "its executor has ended";
      break;
  }
  Let();
  away_since_ = Now();
  timer_->ArmBy(away_since_ + kTryEvery);
}

void ExecutorWatch::OnTimer() {
  const TimePoint now = Now();
  if (fd_.valid()) {
    if (now >= ask_at_) Ask(now);
    if (asked_ != kNever && now - asked_ >= wire::kExecutorPatience &&
        !std::exchange(gone_, true)) {
      why_ = "its executor does not answer";
      callbacks_.gone(why_);
    }
    timer_->ArmBy(ask_at_);
    return;
  }
  if (TryConnect(now)) {
    timer_->ArmBy(ask_at_);
    return;
  }
  if (now - away_since_ >= kGrace && !std::exchange(gone_, true)) callbacks_.gone(why_);
  timer_->ArmBy(now + kTryEvery);
}

}  // namespace stagger::daemon
