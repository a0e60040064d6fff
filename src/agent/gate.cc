#include "agent/gate.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <variant>

#include "agent/forward/route.h"
#include "agent/say.h"
#include "base/clock.h"
#include "wire/channel.h"
#include "wire/timers.h"

namespace stagger::agent {
namespace {

// How long an unanswered daemon is left alone, and how long it is then tried.
constexpr Duration kMutePause = std::chrono::seconds{1};
constexpr Duration kMuteProbe = std::chrono::milliseconds{20};

}  // namespace

Gate::Gate() { entries_[wire::kCpuDevice.value].known_as = wire::kCpuDevice; }

std::optional<DeviceId> Gate::DeviceOf(const wire::GpuUuid& uuid) {
  MutexLock lock(&mutex_);
  if (!attached_) return std::nullopt;
  for (std::uint32_t i = 1; i < entry_count_; ++i) {
    if (entries_[i].known_as && entries_[i].uuid == uuid) return DeviceId{i};
  }
  return std::nullopt;
}

bool Gate::attached() {
  MutexLock lock(&mutex_);
  return attached_;
}

bool Gate::gates() {
  MutexLock lock(&mutex_);
  return attached_ && config_.gating;
}

void Gate::AwaitHangup(int ms) {
  int fd = -1;
  {
    MutexLock lock(&mutex_);
    if (attached_ && socket_.get() < 0) Drop();
    TellEnded(Now() - wire::kTellEndedWithin);
    if (!attached_) return;
    if (route_ != nullptr && reading_) {
      changed_.WaitUntil(&mutex_, Now() + std::chrono::milliseconds{ms});
      return;
    }
    fd = socket_.get();
  }
  // What the daemon says is for the thread that asked; but where this process goes, it says
  // unasked.
  pollfd poll_fd{fd, static_cast<short>(route_ != nullptr ? POLLIN : 0), 0};
  poll(&poll_fd, 1, ms);
  if (poll_fd.revents == 0) return;
  MutexLock lock(&mutex_);
  if ((poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0) return Drain();
  if (attached_) Drop();
}

void Gate::Drop() {
  attached_ = false;
  // Wakes the link thread, which owns closing. Not our socket any more: it finds out by itself.
  if (const int fd = socket_.get(); fd >= 0) shutdown(fd, SHUT_RDWR);
  changed_.NotifyAll();
}

bool Gate::Send(const wire::Message& message) {
  if (!attached_) return false;
  const int fd = socket_.get();
  if (fd < 0 || wire::Send(fd, message) != wire::Io::kOk) {
    Drop();
    return false;
  }
  return true;
}

void Gate::Drain() {
  // What another thread polls for must still be there when it looks: it would sleep on.
  if (reading_) return;
  const TimePoint now = Now();
  wire::Message message;
  while (attached_) {
    const int fd = socket_.get();
    if (fd < 0) return Drop();
    switch (wire::ReceiveShort(fd, &message)) {
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

void Gate::AwaitInbox(TimePoint until) {
  if (reading_) return changed_.WaitUntil(&mutex_, until);
  // This thread reads its own answer: no hand-over from a reader thread, one wake-up less.
  pollfd poll_fd{socket_.get(), POLLIN, 0};
  if (poll_fd.fd < 0) return;  // closed by the app: the next look at the inbox finds that out
  const Duration left = std::max(until - Now(), Duration{0});
  const timespec timeout{static_cast<time_t>(left.count() / 1'000'000'000),
                         static_cast<long>(left.count() % 1'000'000'000)};
  reading_ = true;
  mutex_.Unlock();
  ppoll(&poll_fd, 1, &timeout, nullptr);
  mutex_.Lock();
  reading_ = false;
  changed_.NotifyAll();
}

void Gate::Handle(const wire::Message& message, TimePoint now) {
  muted_ = false;  // it speaks again
  if (const auto* config = std::get_if<wire::Config>(&message)) {
    config_ = *config;
  } else if (const auto* grant = std::get_if<wire::Grant>(&message)) {
    for (DeviceEntry& entry : Entries()) {
      Turn& turn = entry.turn;
      if (turn.phase != Phase::kRequesting || turn.seq != grant->seq) continue;
      turn.phase = Phase::kHeld;
      turn.cores = grant->cores;
      // Here, not where its owner wakes up: another thread may read the grant, join it and be done
      // before that, and must not end the turn under the owner's feet.
      turn.start = now;
      turn.bodies = 1;
      turn.lease_end = now + grant->lease;
      changed_.NotifyAll();
    }
  } else if (const auto* expired = std::get_if<wire::Expired>(&message)) {
    for (DeviceEntry& entry : Entries()) {
      Turn& turn = entry.turn;
      if (turn.phase == Phase::kHeld && turn.seq == expired->seq) turn.lease_end = now;
    }
  } else if (const auto* assign = std::get_if<wire::Assign>(&message)) {
    if (route_ != nullptr) route_->Assign(assign->executors, assign->standby);
  }
}

Ticket Gate::Enter(DeviceId device, TimePoint call_start) {
  MutexLock lock(&mutex_);
  DeviceEntry* entry = Find(device);
  if (!attached_ || entry == nullptr || !entry->known_as) return {};
  if (device.value > 0) last_gpu_ = device.value;
  Drain();
  if (!attached_) return {};
  Turn& turn = entry->turn;
  const TimePoint now = Now();
  if (turn.phase == Phase::kHeld) {
    if (now < turn.lease_end) return Join(device, turn);
    // Overdue: the daemon lets others run, so this body asks anew instead of riding on. It waits
    // for a turn, never for our own threads.
    for (Turn& slot : entry->overdue) {
      if (slot.bodies == 0) {
        slot = turn;
        turn = {};
        break;
      }
    }
    if (turn.phase == Phase::kHeld) return Join(device, turn);  // no slot left: four hung bodies
  }
  if (turn.phase == Phase::kRequesting) {
    const TimePoint until = WaitEnd(now);
    const TurnSeq asked = turn.seq;
    while (attached_ && turn.phase == Phase::kRequesting && turn.seq == asked && Now() < until) {
      changed_.WaitUntil(&mutex_, until);
    }
    return turn.phase == Phase::kHeld ? Join(device, turn) : Ticket{};
  }
  return Ask(device, *entry, call_start);
}

Ticket Gate::Join(DeviceId device, Turn& turn) {
  ++turn.bodies;
  return {turn.seq, device, turn.cores};
}

Gate::Turn* Gate::FindHeld(DeviceEntry& entry, TurnSeq seq) {
  if (entry.turn.phase == Phase::kHeld && entry.turn.seq == seq) return &entry.turn;
  for (Turn& slot : entry.overdue) {
    if (slot.bodies > 0 && slot.seq == seq) return &slot;
  }
  return nullptr;
}

TimePoint Gate::WaitEnd(TimePoint now) const {
  return now + (muted_ ? std::min(kMuteProbe, config_.wait_bound) : config_.wait_bound);
}

Ticket Gate::Ask(DeviceId device, DeviceEntry& entry, TimePoint call_start) {
  Turn& turn = entry.turn;
  const TimePoint asked = Now();
  if (muted_ && asked < muted_until_) return {};
  const bool gated = config_.gating;
  const bool exclusive = gated && config_.IsExclusive(*entry.known_as);
  const TurnSeq seq{++last_seq_.value};
  turn = {};
  turn.seq = seq;
  turn.asked = asked;
  if (warmup_ > 0) {
    if (!Send(wire::Ungated{warmup_})) return {};
    warmup_ = 0;
  }
  wire::Request request{seq, *entry.known_as, wire::Bounded(asked - call_start), gated, exclusive};
  if (entry.unsent) {
    request.post = entry.unsent->post;
    request.call = entry.unsent->call;
    entry.unsent.reset();
  }
  if (!Send(request)) return {};
  if (!gated || exclusive) {
    turn.phase = Phase::kHeld;
    turn.start = asked;
    return Join(device, turn);
  }
  turn.phase = Phase::kRequesting;
  const TimePoint until = WaitEnd(asked);
  while (true) {
    Drain();
    // Its lease may have ended, and another body asked anew, before this thread woke up.
    if (const Turn* held = FindHeld(entry, seq)) return {seq, device, held->cores};
    if (turn.seq != seq || turn.phase != Phase::kRequesting) return {};  // a new connection
    if (!attached_ || Now() >= until) break;
    AwaitInbox(until);
  }
  if (attached_) {
    SayOnce(Topic::kBound,
            "the daemon gave no turn within its bound; running uncontrolled until it does");
    Send(wire::Cancel{seq});
    muted_ = true;
    muted_until_ = Now() + kMutePause;
  }
  turn = {};
  changed_.NotifyAll();
  return {};
}

void Gate::Leave(const Ticket& ticket, Duration call) {
  if (ticket.seq.value == 0) return;
  MutexLock lock(&mutex_);
  DeviceEntry* entry = Find(ticket.device);
  Turn* turn = entry != nullptr ? FindHeld(*entry, ticket.seq) : nullptr;
  if (turn == nullptr || --turn->bodies > 0) return;
  const wire::Release release{turn->seq, wire::Bounded(Now() - turn->start),
                              wire::Bounded(turn->start - turn->asked),
                              wire::Bounded(call > entry->paced ? call - entry->paced : call)};
  *turn = {};
  if (entry->known_as) Send(release);
}

void Gate::Ended(DeviceId device, Duration post, Duration call) {
  MutexLock lock(&mutex_);
  DeviceEntry* entry = Find(device);
  if (!attached_ || entry == nullptr || !entry->known_as) return;
  if (entry->unsent) Send(*entry->unsent);
  entry->unsent = wire::Ended{*entry->known_as, wire::Bounded(post),
                              wire::Bounded(std::max(call - entry->paced, post))};
  entry->unsent_since = Now();
}

void Gate::TellEnded(TimePoint before) {
  for (DeviceEntry& entry : Entries()) {
    if (!entry.unsent || entry.unsent_since > before) continue;
    Send(*entry.unsent);
    entry.unsent.reset();
  }
}

void Gate::Faulted(int device, std::uint32_t code) {
  MutexLock lock(&mutex_);
  // A broken driver no longer says which. Most apps use one.
  if (device < 0) device = entry_count_ == 2 ? 1 : static_cast<int>(last_gpu_);
  const DeviceEntry* entry =
      device > 0 ? Find(DeviceId{static_cast<std::uint32_t>(device)}) : nullptr;
  if (entry == nullptr || !entry->known_as || code == 0 || code > wire::kMaxCode) return;
  Send(wire::Faulted{*entry->known_as, code});
}

void Gate::Tell(const wire::Message& message) {
  MutexLock lock(&mutex_);
  Send(message);
}

void Gate::CountWarmup() {
  MutexLock lock(&mutex_);
  ++warmup_;
}

void Gate::Recognise(const wire::Gpu& gpu) {
  for (DeviceEntry& entry : Entries().subspan(1)) {
    if (entry.uuid != gpu.uuid) continue;
    entry.known_as = gpu.device;
    return;
  }
  if (entry_count_ == entries_.size()) return;
  DeviceEntry& entry = entries_[entry_count_++];
  entry.uuid = gpu.uuid;
  entry.known_as = gpu.device;
}

void Gate::Attach(OwnSocket socket, const wire::Config& config, std::span<const wire::Gpu> gpus) {
  MutexLock lock(&mutex_);
  socket_ = std::move(socket);
  config_ = config;
  attached_ = true;
  muted_ = false;
  for (DeviceEntry& entry : Entries()) entry.unsent.reset();
  for (DeviceEntry& entry : Entries().subspan(1)) entry.known_as.reset();
  for (const wire::Gpu& gpu : gpus) Recognise(gpu);
  for (DeviceEntry& entry : Entries()) {
    Turn& turn = entry.turn;
    if (turn.phase != Phase::kHeld || !entry.known_as) continue;
    // Its lease is now this daemon's to end: until it says so, our bodies join the turn.
    turn.lease_end = kNever;
    Send(wire::Claim{turn.seq, *entry.known_as, wire::Bounded(Now() - turn.start)});
  }
}

void Gate::Detach() {
  MutexLock lock(&mutex_);
  Drop();
  while (reading_) changed_.WaitUntil(&mutex_, Now() + std::chrono::seconds{1});
  // What is held stays held, to be claimed from the next daemon.
  for (DeviceEntry& entry : Entries()) {
    if (entry.turn.phase == Phase::kRequesting) entry.turn = {};
  }
  socket_ = {};
}

void Gate::AfterForkInChild() {
  changed_.Renew();
  socket_ = {};
  attached_ = reading_ = muted_ = false;
  for (DeviceEntry& entry : Entries()) {
    entry.turn = {};
    entry.overdue = {};
    entry.unsent.reset();
  }
  warmup_ = 0;
  exceeded_ = {};
  mutex_.Renew();
}

}  // namespace stagger::agent
