// Rates in the app's process: calls that come before their slot wait here (`pace`), or are told so
// that they can be answered with the outputs of the call before (`reuse`). No trip to the daemon.
#include <algorithm>

#include "agent/gate.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {

// Counts of calls that ran nothing are told no later than this, as long as there are calls.
constexpr Duration kTellWithin = std::chrono::seconds{1};

}  // namespace

// A daemon that goes takes the rate with it: calls that wait go on at once.
bool Gate::Await(SlotClock* clock, Duration period) {
  if (!attached_) return false;
  Drain();
  if (!attached_ || muted_ || !config_.gating) return false;
  const TimePoint came = Now();
  const TimePoint opens = clock->Reserve(came, std::max(period, config_.period));
  if (opens <= came) return true;
  while (attached_ && config_.gating && Now() < opens) changed_.WaitUntil(&mutex_, opens);
  ++exceeded_.deferred;
  TellExceeded(Now());
  return true;
}

void Gate::AwaitSlot(SlotClock* clock, Duration period) {
  MutexLock lock(&mutex_);
  if (!Await(clock, period)) clock->Restart();
}

void Gate::AwaitSlot(DeviceId device, Duration period) {
  MutexLock lock(&mutex_);
  DeviceEntry* entry = Find(device);
  if (entry == nullptr || !entry->known_as || entry->turn.phase != Phase::kIdle) return;
  const TimePoint came = Now();
  const bool kept = Await(&entry->slots, period);
  entry->paced = kept ? Now() - came : Duration{};
  if (!kept) entry->slots.Restart();
}

Gate::Slot Gate::TakeSlot(SlotClock* clock) {
  MutexLock lock(&mutex_);
  if (attached_) Drain();
  if (!attached_ || muted_ || !config_.gating || config_.period == Duration{}) {
    clock->Restart();
    return Slot::kNone;
  }
  const TimePoint now = Now();
  const bool taken = clock->Take(now, config_.period);
  if (taken || now - exceeded_told_ >= kTellWithin) TellExceeded(now);
  return taken ? Slot::kTaken : Slot::kEarly;
}

void Gate::CountSkipped() {
  MutexLock lock(&mutex_);
  ++exceeded_.skipped;
}

void Gate::RefuseReuse() {
  MutexLock lock(&mutex_);
  exceeded_.refused = true;
  TellExceeded(Now());
}

void Gate::TellExceeded(TimePoint now) {
  if (!attached_ || exceeded_ == wire::Exceeded{}) return;
  exceeded_told_ = now;
  if (Send(exceeded_)) exceeded_ = {};
}

}  // namespace stagger::agent
