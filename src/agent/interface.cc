#include "agent/interface.h"

#include <algorithm>
#include <cstring>

#include "agent/hooks/body.h"
#include "agent/hooks/dynamic_linker.h"
#include "agent/hooks/reuse.h"
#include "agent/say.h"
#include "agent/state.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {

Duration FromNs(std::uint64_t ns) {
  const auto longest = static_cast<std::uint64_t>(wire::kMaxDuration.count());
  return Duration{static_cast<Duration::rep>(std::min(ns, longest))};
}

void Nudge() { State::Get().link.Nudge(); }

bool Attached() { return State::Get().gate.attached(); }

bool Gates() { return State::Get().gate.gates(); }

int DeviceOf(const std::uint8_t uuid[16]) {
  wire::GpuUuid key;
  std::memcpy(key.data(), uuid, key.size());
  const std::optional<DeviceId> device = State::Get().gate.DeviceOf(key);
  return device ? static_cast<int>(device->value) : -1;
}

StaggerTicket Enter(std::uint32_t device, std::uint64_t since_call_ns) {
  PaceDevice(DeviceId{device});
  const Ticket ticket =
      State::Get().gate.Enter(DeviceId{device}, StartByDue(Now() - FromNs(since_call_ns)));
  return {ticket.seq.value, device};
}

void Leave(StaggerTicket ticket, std::uint64_t call_ns) {
  State::Get().gate.Leave({TurnSeq{ticket.seq}, DeviceId{ticket.device}, {}}, FromNs(call_ns));
}

void Ended(std::uint32_t device, std::uint64_t post_ns, std::uint64_t call_ns) {
  State::Get().gate.Ended(DeviceId{device}, FromNs(post_ns), FromNs(call_ns));
}

void Faulted(int device, std::uint32_t code) { State::Get().gate.Faulted(device, code); }

void CountWarmup() { State::Get().gate.CountWarmup(); }

void Say(int topic, const char* line) {
  State::Get();  // reads STAGGER_QUIET
  SayOnceForOther(topic, line);
}

}  // namespace
}  // namespace stagger::agent

extern "C" __attribute__((visibility("default")))
const StaggerAgentInterface stagger_agent_interface = {
    .size = sizeof(StaggerAgentInterface),
    .nudge = &stagger::agent::Nudge,
    .attached = &stagger::agent::Attached,
    .device_of = &stagger::agent::DeviceOf,
    .enter = &stagger::agent::Enter,
    .leave = &stagger::agent::Leave,
    .ended = &stagger::agent::Ended,
    .count_warmup = &stagger::agent::CountWarmup,
    .say_once = &stagger::agent::Say,
    .add_dlsym_filter = &stagger::agent::AddDlsymFilter,
    .framework_depth = &stagger::agent::FrameworkDepth,
    .watch_framework = &stagger::agent::WatchFramework,
    .gates = &stagger::agent::Gates,
    .faulted = &stagger::agent::Faulted,
    .due_in = &stagger::agent::DueIn,
};
