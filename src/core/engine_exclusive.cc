// A device that only one stream uses: its bodies begin without waiting for an answer. They are told
// of all the same, so leases, counters and the next stream's wait are as ever; what is saved is the
// way to the daemon and back, which a short body would feel (0.1 ms).
//
// When another stream comes, the word that this is over may still be under way while the exclusive
// user begins one more body. So for `kNotice` nobody gets a turn there: what it began by then is
// known.
#include "core/engine_impl.h"

namespace stagger::core {
namespace {

// A local socket's way takes a tenth of this, also where all cores are busy.
constexpr Duration kNotice = std::chrono::milliseconds{1};
// Configure::exclusive has a bit per device.
constexpr std::size_t kMostDevices = 32;

}  // namespace

std::uint32_t Engine::Impl::ExclusiveFor(ClientId client) const {
  std::uint32_t exclusive = 0;
  for (std::size_t id = 0; id < devices.size() && id < kMostDevices; ++id) {
    if (devices[id].exclusive.begins && devices[id].exclusive.user == client) exclusive |= 1U << id;
  }
  return exclusive;
}

// A turn on a CPU says which cores are the body's, a spacing or a lowered rate when it may begin.
bool Engine::Impl::MayBeExclusive(const DeviceState& device, const Stream& stream) const {
  return config.exclusive_after > Duration{} && policy->gates && !policy->spaced &&
         device.cores.empty() && stream.assigned_fps == 0 && device.waiting.empty() &&
         device.deferred.empty() && device.running.empty();
}

void Engine::Impl::NoteUser(DeviceState& device, ClientId client) {
  if (device.exclusive.user == client) return;
  if (device.exclusive.user) EndExclusive(device, Reason::kClientsChange);
  device.exclusive.user = client;
}

// At a body's end.
void Engine::Impl::GiveExclusive(DeviceId id, ClientId client, Stream& stream) {
  DeviceState& device = At(id);
  if (device.exclusive.begins || device.exclusive.user != client || id.value >= kMostDevices)
    return;
  if (now - device.exclusive.since < config.exclusive_after || !MayBeExclusive(device, stream))
    return;
  device.exclusive.begins = true;
  Tell(client, stream, Reason::kExclusive);
}

void Engine::Impl::EndExclusive(DeviceState& device, Reason reason) {
  if (device.exclusive.begins) {
    device.exclusive.begins = false;
    device.exclusive.notice_until = now + kNotice;
    Tell(*device.exclusive.user, streams.at(*device.exclusive.user), reason);
  }
  device.exclusive.since = now;
}

// It has left: there is nobody to tell, and nothing of its is under way.
void Engine::Impl::ForgetUser(DeviceState& device, ClientId client) {
  if (device.exclusive.user != client) return;
  device.exclusive.user.reset();
  device.exclusive.begins = false;
  device.exclusive.since = now;
}

void Engine::Impl::EndExclusiveEverywhere(Reason reason) {
  for (DeviceState& device : devices) EndExclusive(device, reason);
}

void Engine::Impl::BeginExclusive(DeviceId id, Stream& stream, const TurnRequested& event) {
  const Duration since_call = Sane(event.since_call, stream);
  stream.pre.Add(since_call);
  ++stream.counters.granted;
  ++stream.counters.exclusive;
  At(id).last_grant = now;
  StartRunning(At(id), stream.seats[id.value],
               {.client = event.client,
                .seq = event.seq,
                .granted = now,
                .lease_end = now + stream.lease,
                .body_due = BodyDue(stream, since_call),
                .expected = stream.occupied,
                .occupancy = stream.occupancy.value()});
}

}  // namespace stagger::core
