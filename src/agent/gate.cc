#include "agent/gate.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <variant>

#include "agent/say.h"
#include "base/clock.h"
#include "wire/channel.h"

namespace stagger::agent {
namespace {

// How long an unanswered daemon is left alone, and how long it is then tried.
constexpr Duration kMutePause = std::chrono::seconds{1};
constexpr Duration kMuteProbe = std::chrono::milliseconds{20};

// fstat without the symbol glibc 2.33 introduced.
unsigned long InodeOf(int fd) {
  struct stat status {};
  if (syscall(SYS_fstat, fd, &status) != 0 || !S_ISSOCK(status.st_mode)) return 0;
  return status.st_ino;
}

}  // namespace

bool Gate::attached() {
  MutexLock lock(&mutex_);
  return attached_;
}

void Gate::AwaitHangup(int ms) {
  int fd = -1;
  {
    MutexLock lock(&mutex_);
    if (attached_ && !SocketIsOurs()) Drop();
    if (!attached_) return;
    fd = socket_.get();
  }
  pollfd poll_fd{fd, 0, 0};  // no POLLIN: what the daemon says is for the thread that asked
  poll(&poll_fd, 1, ms);
  if ((poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0) return;
  MutexLock lock(&mutex_);
  if (attached_) Drop();
}

bool Gate::SocketIsOurs() const {
  return socket_.valid() && socket_inode_ != 0 && InodeOf(socket_.get()) == socket_inode_;
}

void Gate::Drop() {
  attached_ = false;
  // Wakes the link thread, which owns closing. Not our socket any more: it finds out by itself.
  if (SocketIsOurs()) shutdown(socket_.get(), SHUT_RDWR);
  changed_.NotifyAll();
}

bool Gate::Send(const wire::Message& message) {
  if (!attached_) return false;
  if (!SocketIsOurs() || wire::Send(socket_.get(), message) != wire::Io::kOk) {
    Drop();
    return false;
  }
  return true;
}

void Gate::Drain() {
  const TimePoint now = Now();
  wire::Message message;
  while (attached_) {
    if (!SocketIsOurs()) return Drop();
    switch (wire::ReceiveShort(socket_.get(), &message)) {
      case wire::Io::kOk:
        Handle(message, now);
        break;
      case wire::Io::kWouldBlock:
        return;
      case wire::Io::kClosed:
      case wire::Io::kMalformed:
        return Drop();
    }
  }
}

void Gate::Handle(const wire::Message& message, TimePoint now) {
  muted_ = false;  // it speaks again
  if (const auto* config = std::get_if<wire::Config>(&message)) {
    config_ = *config;
  } else if (const auto* grant = std::get_if<wire::Grant>(&message)) {
    if (turn_.phase == Phase::kRequesting && turn_.seq == grant->seq) {
      turn_.phase = Phase::kHeld;
      turn_.cores = grant->cores;
      turn_.start =
          now;  // here: another thread of ours may see the grant before the one that asked
      turn_.lease_end = now + grant->lease;
      changed_.NotifyAll();
    }
  } else if (const auto* expired = std::get_if<wire::Expired>(&message)) {
    if (turn_.phase == Phase::kHeld && turn_.seq == expired->seq) turn_.lease_end = now;
  }
}

Ticket Gate::Enter(TimePoint call_start) {
  MutexLock lock(&mutex_);
  if (!attached_) return {};
  Drain();
  if (!attached_) return {};
  const TimePoint now = Now();
  if (turn_.phase == Phase::kHeld) {
    if (now < turn_.lease_end) return JoinCurrent();
    // Overdue: the daemon lets others run, so this body asks anew instead of riding on. It waits
    // for a turn, never for our own threads.
    for (Turn& slot : overdue_) {
      if (slot.bodies == 0) {
        slot = turn_;
        turn_ = {};
        break;
      }
    }
    if (turn_.phase == Phase::kHeld) return JoinCurrent();  // no slot left: four hung bodies
  }
  if (turn_.phase == Phase::kRequesting) {
    const TimePoint until = WaitEnd(now);
    const TurnSeq asked = turn_.seq;
    while (attached_ && turn_.phase == Phase::kRequesting && turn_.seq == asked && Now() < until) {
      changed_.WaitUntil(&mutex_, until);
    }
    return turn_.phase == Phase::kHeld ? JoinCurrent() : Ticket{};
  }
  return Ask(call_start);
}

Ticket Gate::JoinCurrent() {
  ++turn_.bodies;
  return {turn_.seq, turn_.cores};
}

TimePoint Gate::WaitEnd(TimePoint now) const {
  return now + (muted_ ? std::min(kMuteProbe, config_.wait_bound) : config_.wait_bound);
}

Ticket Gate::Ask(TimePoint call_start) {
  const TimePoint asked = Now();
  if (muted_ && asked < muted_until_) return {};
  const bool gated = config_.gating;
  last_seq_.value++;
  const TurnSeq seq = last_seq_;
  turn_ = {};
  turn_.seq = seq;
  if (warmup_ > 0) {
    if (!Send(wire::Ungated{warmup_})) return {};
    warmup_ = 0;
  }
  if (!Send(wire::Request{turn_.seq, wire::kCpuDevice, wire::Bounded(asked - call_start), gated}))
    return {};
  if (!gated) {
    turn_.phase = Phase::kHeld;
    turn_.start = asked;
    return JoinCurrent();
  }
  turn_.phase = Phase::kRequesting;
  const TimePoint until = WaitEnd(asked);
  while (true) {
    Drain();
    const TimePoint now = Now();
    if (turn_.seq != seq || turn_.phase == Phase::kIdle) return {};  // the connection was replaced
    if (turn_.phase == Phase::kHeld) {
      turn_.wait = turn_.start - asked;
      return JoinCurrent();
    }
    if (!attached_ || now >= until) break;
    // This thread reads its own answer: no hand-over from a reader thread, one wake-up less.
    pollfd poll_fd{socket_.get(), POLLIN, 0};
    const Duration left = until - now;
    const timespec timeout{static_cast<time_t>(left.count() / 1'000'000'000),
                           static_cast<long>(left.count() % 1'000'000'000)};
    reading_ = true;
    mutex_.Unlock();
    ppoll(&poll_fd, 1, &timeout, nullptr);
    mutex_.Lock();
    reading_ = false;
    changed_.NotifyAll();
  }
  if (attached_) {
    SayOnce(Topic::kBound,
            "the daemon gave no turn within its bound; running uncontrolled until it does");
    Send(wire::Cancel{turn_.seq});
    muted_ = true;
    muted_until_ = Now() + kMutePause;
  }
  turn_ = {};
  changed_.NotifyAll();
  return {};
}

void Gate::Leave(const Ticket& ticket, TimePoint call_start) {
  if (ticket.seq.value == 0) return;
  MutexLock lock(&mutex_);
  Turn* turn = turn_.phase == Phase::kHeld && turn_.seq == ticket.seq ? &turn_ : nullptr;
  for (Turn& slot : overdue_) {
    if (slot.bodies > 0 && slot.seq == ticket.seq) turn = &slot;
  }
  if (turn == nullptr || --turn->bodies > 0) return;
  const TimePoint now = Now();
  const wire::Release release{turn->seq, wire::Bounded(now - turn->start),
                              wire::Bounded(turn->wait), wire::Bounded(now - call_start)};
  *turn = {};
  Send(release);
}

void Gate::CountWarmup() {
  MutexLock lock(&mutex_);
  ++warmup_;
}

void Gate::Attach(UniqueFd socket, const wire::Config& config) {
  MutexLock lock(&mutex_);
  socket_inode_ = InodeOf(socket.get());
  socket_ = std::move(socket);
  config_ = config;
  attached_ = true;
  muted_ = false;
  if (turn_.phase == Phase::kHeld) {
    // Its lease is now this daemon's to end: until it says so, our bodies join the turn.
    turn_.lease_end = kNever;
    Send(wire::Claim{turn_.seq, wire::kCpuDevice, wire::Bounded(Now() - turn_.start)});
  }
}

void Gate::Detach() {
  MutexLock lock(&mutex_);
  Drop();
  while (reading_) changed_.WaitUntil(&mutex_, Now() + std::chrono::seconds{1});
  if (turn_.phase == Phase::kRequesting) turn_ = {};
  // What is held stays held, to be claimed from the next daemon.
  if (!SocketIsOurs()) (void)socket_.Release();  // the number belongs to the app now
  socket_.Reset();
  socket_inode_ = 0;
}

void Gate::AfterForkInChild() {
  mutex_.Renew();
  changed_.Renew();
  if (!SocketIsOurs()) (void)socket_.Release();
  socket_.Reset();
  socket_inode_ = 0;
  attached_ = reading_ = muted_ = false;
  turn_ = {};
  overdue_ = {};
  warmup_ = 0;
}

}  // namespace stagger::agent
