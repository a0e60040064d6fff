// A device that only one stream uses: its bodies begin without waiting for an answer. They are told
// of all the same, so leases, counters and the next stream's wait are as ever; what is saved is the
// way to the daemon and back, which a short body would feel (0.1 ms).
//
// When another stream comes, the word that this is over may still be under way while the sole user
// begins one more body. So for `settle` nobody gets a turn there: what it began by then is known.
#include "core/engine_impl.h"

namespace stagger::core {
namespace {

// A local socket's way takes a tenth of this, also where all cores are busy.
constexpr Duration kSettle = std::chrono::milliseconds{1};
// Configure::sole has a bit per device.
constexpr std::size_t kMostDevices = 32;

}  // namespace

std::uint32_t Engine::Impl::SoleFor(ClientId client) const {
  std::uint32_t sole = 0;
  for (std::size_t id = 0; id < devices.size() && id < kMostDevices; ++id) {
    if (devices[id].sole.begins && devices[id].sole.user == client) sole |= 1U << id;
  }
  return sole;
}

// A turn on a CPU says which cores are the body's, a spacing or a lowered rate when it may begin.
bool Engine::Impl::MayBeginAtOnce(const DeviceState& device, const Stream& stream) const {
  return config.sole_after > Duration{} && policy->gates && !policy->spaced &&
         device.cores.empty() && stream.assigned_fps == 0 && device.waiting.empty() &&
         device.held.empty() && device.running.empty();
}

void Engine::Impl::NoteUser(DeviceState& device, ClientId client) {
  if (device.sole.user == client) return;
  if (device.sole.user) EndSole(device, Reason::kClientsChange);
  device.sole.user = client;
}

// At a body's end.
void Engine::Impl::LetBegin(DeviceId id, ClientId client, Stream& stream) {
  DeviceState& device = At(id);
  if (device.sole.begins || device.sole.user != client || id.value >= kMostDevices) return;
  if (now - device.sole.since < config.sole_after || !MayBeginAtOnce(device, stream)) return;
  device.sole.begins = true;
  Tell(client, stream, Reason::kSole);
}

void Engine::Impl::EndSole(DeviceState& device, Reason reason) {
  if (device.sole.begins) {
    device.sole.begins = false;
    device.sole.settle_until = now + kSettle;
    Tell(*device.sole.user, streams.at(*device.sole.user), reason);
  }
  device.sole.since = now;
}

// It has left: there is nobody to tell, and nothing of its is under way.
void Engine::Impl::ForgetUser(DeviceState& device, ClientId client) {
  if (device.sole.user != client) return;
  device.sole.user.reset();
  device.sole.begins = false;
  device.sole.since = now;
}

void Engine::Impl::EndSoleEverywhere(Reason reason) {
  for (DeviceState& device : devices) EndSole(device, reason);
}

void Engine::Impl::BeginAtOnce(DeviceId id, Stream& stream, const TurnRequested& event) {
  const Duration since_call = Sane(event.since_call, stream);
  stream.pre.Add(since_call);
  ++stream.counters.granted;
  ++stream.counters.sole;
  At(id).last_grant = now;
  StartRunning(At(id), stream.seats[id.value],
               {.client = event.client,
                .seq = event.seq,
                .granted = now,
                .lease_end = now + stream.lease,
                .body_due = BodyDue(stream, since_call),
                .expected = stream.occupied,
                .demand = stream.demand.value()});
}

}  // namespace stagger::core
