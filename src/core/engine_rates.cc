// Overload: which stream may ask how often, and when a call that came too early is let in.
//
// Under edf alone, more work than a device can do makes nearly everybody late. So rates go down
// until the rest fits (core/elastic.h), and a call that comes before its stream's next slot is held
// back: it does not compete yet, and its deadline counts from the moment it is let in. A slot that
// has come opens only when the body can still end in time and makes no other late.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/elastic.h"
#include "core/engine_impl.h"

namespace stagger::core {
namespace {

constexpr Duration kEvery = std::chrono::milliseconds{500};
constexpr double kFull = 0.99;   // of the device, what rates are lowered to
constexpr double kEnter = 1.03;  // asked for, of the device: overload, if it is so twice in a row
constexpr double kLeave = 0.95;  // and only then no more
constexpr double kNoise = 0.02;  // a rate is left alone unless it changes by more
constexpr std::uint32_t kSeen = 2;     // bodies before their length is believed
constexpr std::uint32_t kMemory = 32;  // bodies in the mean

// No call waits longer for room, whatever is late then: else a stream whose bodies are longer
// than its deadline would never be let in.
TimePoint LastEntry(const Stream& stream) {
  return stream.next_slot + 2 * PeriodOf(stream.assigned_fps);
}

}  // namespace

Duration PeriodOf(double fps) {
  return Duration{static_cast<Duration::rep>(std::min(1e9 / fps, 1e18))};
}

// Where occupancies are limited a body takes its occupancy of the device, and the device has one
// place; else it takes one of k places.
double Engine::Impl::ShareOf(const Stream& stream) const {
  return config.policy.demand_limit > 0 ? stream.occupancy.value() : 1;
}
Duration::rep Engine::Impl::SlotsOf(const DeviceState& device) const {
  return config.policy.demand_limit > 0 ? 1 : device.concurrency;
}

void Engine::Impl::NoteOccupied(Stream& stream, DeviceId device, Duration held) {
  // A trial is over sooner than the mean would follow it, or forget it.
  if (!tuners.empty() && tuners[device.value].trying()) return;
  stream.occupied_samples = std::min(stream.occupied_samples + 1, kMemory);
  stream.occupied += (held - stream.occupied) / static_cast<Duration::rep>(stream.occupied_samples);
}

void Engine::Impl::UpdateRates() {
  rates_due = now + kEvery;
  for (std::uint32_t id = 0; id < devices.size(); ++id) UpdateRates(DeviceId{id});
}

void Engine::Impl::UpdateRates(DeviceId id) {
  DeviceState& device = At(id);
  std::vector<Stream*> rated;
  std::vector<RateRequest> requests;
  double load = 0;
  for (auto& [client, stream] : streams) {
    if (stream.last_device != id || !(stream.spec.required_fps > 0)) continue;
    if (stream.occupied_samples < kSeen || stream.occupied <= Duration{}) continue;
    const double body_s = static_cast<double>(stream.occupied.count()) / 1e9;
    const double share_s = body_s * ShareOf(stream);
    // A stream has one body at a time: where it could not keep its rate even alone, it asks for
    // less.
    double fps = std::min(stream.spec.required_fps, 1 / body_s);
    if (stream.cap_fps > 0) fps = std::min(fps, stream.cap_fps);
    rated.push_back(&stream);
    requests.push_back({fps, stream.spec.min_fps, stream.spec.weight, share_s});
    load += fps * share_s;
  }
  const double capacity = static_cast<double>(SlotsOf(device));
  device.load = load / capacity;
  const bool controls = policy->gates && policy->concurrent && config.policy.elastic;
  // While a number of turns is on trial, whether it was overloaded is remembered: soon that is
  // over.
  if (tuners.empty() || !tuners[id.value].trying()) {
    const bool overfull =
        controls && device.load >= kLeave && (device.load > kEnter || device.overloaded());
    device.overloads = overfull ? std::min(device.overloads + 1, DeviceState::kOverloaded) : 0;
  }
  std::vector<double> rates;
  if (device.overloaded()) rates = ElasticRates(requests, kFull * capacity);
  bool changed = false;
  for (std::size_t i = 0; i < rated.size(); ++i) {
    Stream& stream = *rated[i];
    double rate = rates.empty() || rates[i] >= requests[i].fps ? 0 : rates[i];
    if (rate == 0 && controls && stream.cap_fps > 0) rate = requests[i].fps;
    const double before = stream.assigned_fps;
    if (before > 0 && rate > 0 && std::abs(rate - before) <= kNoise * before) rate = before;
    if (rate == before) continue;
    if (before == 0) stream.next_slot = stream.lowered_since = now;
    stream.assigned_fps = rate;
    changed = true;
    EndExclusive(device, Reason::kRatesChange);  // when it may begin is for us to say now
  }
  if (!changed) return;
  TellWhereWorthIt(Reason::kRatesChange);
  Dispatch(id, Reason::kRatesChange);
}

// Would it end in time if it were let in now, without making another late that would not be? Bodies
// take what they took lately; those before it are spread over the k that run at once.
bool Engine::Impl::FitsNow(const DeviceState& device, const WaitingTurn& turn,
                           TimePoint due) const {
  const Duration::rep k = SlotsOf(device);
  const auto length = [&](ClientId client) {
    const Duration mean = streams.at(client).occupied;
    return mean + mean / 16;  // bodies vary
  };
  // What a body takes of the device, as if it filled one of its places for a shorter time.
  const auto taken = [&](ClientId client, Duration body) {
    return Duration{std::llround(static_cast<double>(body.count()) * ShareOf(streams.at(client)))};
  };
  Duration ahead{};
  for (const RunningTurn& running : device.running) {
    if (!running.expired) {
      const Duration left = length(running.client) - (now - running.granted);
      ahead += taken(running.client, std::max(left, Duration{}));
    }
  }
  const Duration own = length(turn.client);
  Duration before_own = ahead;
  std::vector<const WaitingTurn*> after;
  for (const WaitingTurn& other : device.waiting) {
    // Any other order than by due date is that of arrival: turns that wait go first.
    if (!policy->overtakes || other.body_due <= due) {
      before_own += taken(other.client, length(other.client));
    } else {
      after.push_back(&other);
    }
  }
  if (now + before_own / k + own > due) return false;
  std::ranges::sort(after, {}, &WaitingTurn::body_due);
  Duration without = before_own;
  const Duration ours = taken(turn.client, own);
  for (const WaitingTurn* other : after) {
    const Duration body = length(other->client);
    const bool late = now + without / k + body > other->body_due;
    if (!late && now + (without + ours) / k + body > other->body_due) return false;
    without += taken(other->client, body);
  }
  return true;
}

void Engine::Impl::LetIn(DeviceId id) {
  DeviceState& device = At(id);
  for (;;) {
    auto best = device.deferred.end();
    for (auto turn = device.deferred.begin(); turn != device.deferred.end(); ++turn) {
      const Stream& stream = streams.at(turn->client);
      if (stream.assigned_fps > 0) {
        if (stream.next_slot > now) continue;
        const bool overdue = LastEntry(stream) <= now;
        if (!overdue && !FitsNow(device, *turn, BodyDue(stream, turn->since_call))) continue;
      }
      // The turn with the earliest slot has waited longest for its share.
      if (best == device.deferred.end() || stream.next_slot < streams.at(best->client).next_slot) {
        best = turn;
      }
    }
    if (best == device.deferred.end()) return;
    WaitingTurn turn = *best;
    device.deferred.erase(best);
    Enter(device, std::move(turn));
  }
}

// Its turn at last: it competes from now on.
void Engine::Impl::Enter(DeviceState& device, WaitingTurn turn) {
  Stream& stream = streams.at(turn.client);
  turn.deferred = now - turn.requested;
  turn.body_due = BodyDue(stream, turn.since_call);
  if (stream.assigned_fps > 0) {
    // A slot missed is made up for, but not more than one.
    const Duration period = PeriodOf(stream.assigned_fps);
    stream.next_slot = std::max(stream.next_slot + period, now - period);
    if (turn.deferred > Duration{}) ++stream.counters.deferred;
  }
  device.waiting.push_back(turn);
}

// When to look again at those that are held back, if nothing happens before.
TimePoint Engine::Impl::NextSlot(const DeviceState& device) const {
  TimePoint next = kNever;
  for (const WaitingTurn& turn : device.deferred) {
    const Stream& stream = streams.at(turn.client);
    const TimePoint slot = stream.next_slot;
    if (stream.assigned_fps == 0) return now;
    next = std::min(next, slot > now ? slot : LastEntry(stream));
  }
  return next;
}

}  // namespace stagger::core
