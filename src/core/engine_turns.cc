#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "core/engine_impl.h"

namespace stagger::core {
namespace {

using Holds = Seat::Holds;

constexpr Duration kAbsurd = std::chrono::hours{1};
constexpr std::uint64_t kSeenAlone = 4;    // bodies, before others are compared with them
constexpr std::uint64_t kProbeEvery = 32;  // turns

Seat* FindSeat(Stream& stream, TurnSeq seq) {
  const auto found = std::ranges::find_if(stream.seats, [seq](const Seat& seat) {
    return seat.holds != Holds::kNothing && seat.seq == seq;
  });
  return found == stream.seats.end() ? nullptr : &*found;
}

DeviceId IdOf(const Stream& stream, const Seat& seat) {
  return {static_cast<std::uint32_t>(&seat - stream.seats.data())};
}

void Detach(Seat& seat, Detached turn) {
  if (seat.detached.size() == Seat::kMaxDetached) seat.detached.erase(seat.detached.begin());
  seat.detached.push_back(turn);
}

std::optional<Detached> TakeDetached(Stream& stream, TurnSeq seq) {
  for (Seat& seat : stream.seats) {
    const auto found = std::ranges::find(seat.detached, seq, &Detached::seq);
    if (found == seat.detached.end()) continue;
    const Detached turn = *found;
    seat.detached.erase(found);
    return turn;
  }
  return std::nullopt;
}

template <typename Turns>
auto FindTurn(Turns& turns, ClientId client) {
  const auto found =
      std::ranges::find_if(turns, [client](const auto& turn) { return turn.client == client; });
  CHECK(found != turns.end());  // its seat says that it is there
  return found;
}

}  // namespace

// What a client says of time is clamped to what can be true, and counted when it could not be.
Duration Engine::Impl::Sane(Duration claimed, Stream& stream) const {
  if (claimed >= Duration{} && claimed <= kAbsurd) return claimed;
  ++stream.counters.invalid;
  return std::clamp(claimed, Duration{}, kAbsurd);
}

void Engine::Impl::On(const TurnRequested& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  if (event.device.value >= devices.size()) {
    ++stream->counters.invalid;
    return;
  }
  DeviceState& device = At(event.device);
  Seat& seat = stream->seats[event.device.value];
  const bool waits = seat.holds == Holds::kWaits;
  const bool runs = seat.holds == Holds::kRuns;
  // "Ungated" and "exclusive" tell a fact, a body that has begun. So the one before it is over, and
  // its end was lost; anything else that comes while a turn is held makes no sense.
  const bool begun = !event.gated || event.exclusive;
  const bool supersedes = runs && begun;
  if (waits || runs) ++stream->counters.invalid;
  if ((waits || runs) && !supersedes) return;
  if (FindSeat(*stream, event.seq) != nullptr) {
    ++stream->counters.invalid;
    return;
  }
  // What it still has here is over for us: a body that ran out of its lease, whose process goes on
  // with its next one, or one whose end was lost.
  if (seat.holds != Holds::kNothing) {
    const RunningTurn& turn = *FindTurn(device.running, event.client);
    Detach(seat, {turn.seq, event.device, turn.granted, turn.gated, turn.expired});
    Leave(device, event.client, seat);
  }
  ++stream->counters.requested;
  stream->last_device = event.device;
  NoteUser(device, event.client);
  // The policy may have been switched off meanwhile: then it is a body like any other.
  if (event.exclusive && policy->gates) return BeginExclusive(event.device, *stream, event);
  if (begun) {
    const TimePoint lease_end = policy->gates ? now + stream->lease : kNever;
    StartRunning(device, seat,
                 {.client = event.client,
                  .seq = event.seq,
                  .granted = now,
                  .lease_end = lease_end,
                  .gated = false});
    // It counts against k from here on even so: it does occupy the device.
    return;
  }
  seat.holds = Holds::kWaits;
  seat.seq = event.seq;
  const Duration since_call = Sane(event.since_call, *stream);
  stream->pre.Add(since_call);
  WaitingTurn turn{.client = event.client,
                   .seq = event.seq,
                   .requested = now,
                   .since_call = since_call,
                   .body_due = BodyDue(*stream, since_call),
                   .expected = stream->occupied,
                   .occupancy = stream->occupancy.value()};
  (stream->assigned_fps > 0 ? device.deferred : device.waiting).push_back(turn);
  Dispatch(event.device, Reason::kFree);
}

void Engine::Impl::On(const TurnReleased& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  Seat* seat = FindSeat(*stream, event.seq);
  if (seat == nullptr) {
    const std::optional<Detached> body = TakeDetached(*stream, event.seq);
    if (!body) {
      ++stream->counters.invalid;
      return;
    }
    Record(*stream, event, *body);
  } else if (seat->holds == Holds::kWaits) {
    // Its body is over without a turn: a grant would only make others wait for nobody.
    ++stream->counters.invalid;
    Leave(At(IdOf(*stream, *seat)), event.client, *seat);
    return;
  } else {
    const DeviceId id = IdOf(*stream, *seat);
    const RunningTurn& turn = *FindTurn(At(id).running, event.client);
    Record(*stream, event, {turn.seq, id, turn.granted, turn.gated, turn.expired});
    seat->last_done = now;
    if (turn.gated && !turn.expired) {
      NoteOccupied(*stream, id, now - turn.granted);
      NoteBeside(*stream, turn);
    }
    Leave(At(id), event.client, *seat);
    Dispatch(id, Reason::kReleased);
    GiveExclusive(id, event.client, *stream);
  }
  if (now >= rates_due) UpdateRates();
  // Bodies vary all the time: look at everybody's bound only once the whole has moved by 1/8.
  const Duration moved = leases > leases_told ? leases - leases_told : leases_told - leases;
  if (moved * 8 > leases_told) TellWhereWorthIt(Reason::kBodiesChange);
}

void Engine::Impl::Record(Stream& stream, const TurnReleased& event, const Detached& turn) {
  Duration body = Sane(event.body, stream);
  // Nobody earns a longer lease with a body longer than the time it held its turn. (An ungated
  // body began before we heard of it, so there we have only its word, and the ceiling.)
  if (turn.gated) body = std::min(body, now - turn.granted);
  stream.body.Add(body);
  if (event.call != Duration{}) RecordCall(stream, turn.device, Sane(event.call, stream));
  if (turn.gated) stream.wait.Add(Sane(event.wait, stream));
  ++stream.counters.done;
  if (!turn.gated) ++stream.counters.ungated;
  if (turn.late) ++stream.counters.late;
  stream.last_done = now;
  SetLease(stream);
}

void Engine::Impl::NoteBeside(Stream& stream, const RunningTurn& turn) {
  const Duration held = now - turn.granted;
  if (turn.beside == Duration{}) {
    stream.alone.Add(held);
  } else if (stream.alone.count() >= kSeenAlone) {
    const double others = turn.others / static_cast<double>(turn.beside.count());
    stream.occupancy.Learn(stream.alone.mean(), held, turn.beside, others);
  }
}

// Seldom: a body let in beyond the limit is slowed down, and slows others down.
bool Engine::Impl::ProbeDue(const DeviceState& device) const {
  return config.policy.demand_limit > 0 && !device.overloaded() &&
         device.turns - device.probed >= kProbeEvery;
}

void Engine::Impl::RecordCall(Stream& stream, DeviceId device, Duration call) {
  stream.call.Add(call);
  // A frame that a lowered rate held back is due that much later.
  const Duration deferred = stream.seats[device.value].deferred;
  const bool late = stream.spec.deadline > Duration{} && call - deferred > stream.spec.deadline;
  if (late) ++stream.counters.late_deadline;
  if (!tuners.empty()) tuners[device.value].Ended(!late);
}

void Engine::Impl::On(const InferenceEnded& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  if (event.device.value >= devices.size()) {
    ++stream->counters.invalid;
    return;
  }
  stream->post.Add(Sane(event.post, *stream));
  RecordCall(*stream, event.device, Sane(event.call, *stream));
}

TimePoint Engine::Impl::BodyDue(const Stream& stream, Duration since_call) const {
  if (stream.spec.deadline == Duration{}) return now - since_call + kPatience;
  // What follows the body must fit in too. Its mean is its usual length beside other bodies.
  return now - since_call + stream.spec.deadline - stream.post.mean();
}

void Engine::Impl::NoteGaveUp(Stream& stream, const DeviceState& device, ClientId client,
                              const Seat& seat) {
  if (seat.holds != Holds::kWaits)
    return;  // its GPU failed while it ran, or the grant is under way
  for (const auto* turns : {&device.waiting, &device.deferred}) {
    for (const WaitingTurn& turn : *turns) {
      if (turn.client != client) continue;
      stream.incidents.Add({Incident::Kind::kGaveUp, now, now - turn.requested});
    }
  }
}

void Engine::Impl::On(const TurnCancelled& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  Seat* seat = FindSeat(*stream, event.seq);
  if (seat == nullptr) {
    ++stream->counters.invalid;
    return;
  }
  ++stream->counters.cancelled;
  // It may hold the turn by now: a grant and a cancel can cross on the wire.
  const DeviceId id = IdOf(*stream, *seat);
  NoteGaveUp(*stream, At(id), event.client, *seat);
  Leave(At(id), event.client, *seat);
  Detach(*seat, {event.seq, id, now, false, false});
  Dispatch(id, Reason::kCancelled);
}

void Engine::Impl::On(const TurnClaimed& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  if (event.device.value >= devices.size() || FindSeat(*stream, event.seq) != nullptr ||
      stream->seats[event.device.value].holds != Holds::kNothing) {
    ++stream->counters.invalid;
    return;
  }
  ++stream->counters.claimed;
  stream->last_device = event.device;
  NoteUser(At(event.device), event.client);
  // The body runs whether we like it or not, so it is recorded even beyond k.
  const TimePoint granted = now - Sane(event.held, *stream);
  const TimePoint lease_end = policy->gates ? now + stream->lease : kNever;
  StartRunning(At(event.device), stream->seats[event.device.value],
               {.client = event.client,
                .seq = event.seq,
                .granted = granted,
                .lease_end = lease_end,
                .gated = policy->gates});
}

void Engine::Impl::ExpireLeases() {
  for (std::uint32_t id = 0; id < devices.size(); ++id) {
    DeviceState& device = devices[id];
    bool freed = false;
    for (RunningTurn& turn : device.running) {
      if (turn.expired || turn.lease_end > now) continue;
      turn.expired = true;
      freed = true;
      --device.in_force;
      Stream& stream = streams.at(turn.client);
      ++stream.counters.expired;
      stream.seats[id].holds = Holds::kExpired;
      stream.incidents.Add({Incident::Kind::kExpired, now, now - turn.granted});
      device.past.Add({turn.client, turn.granted, now});
      actions->push_back(Expire{turn.client, turn.seq, DeviceId{id}, Reason::kLeaseEnded});
    }
    if (freed) Dispatch(DeviceId{id}, Reason::kLeaseEnded);
  }
}

void Engine::Impl::Dispatch(DeviceId id, Reason cause) {
  DeviceState& device = At(id);
  if (device.exclusive.notice_until > now && !(device.waiting.empty() && device.deferred.empty())) {
    ask_again[id.value] = device.exclusive.notice_until;
    return;
  }
  if (!device.deferred.empty()) LetIn(id);
  for (;;) {
    const Decision decision = policy->next({device, config.policy, now, cause, ProbeDue(device)});
    if (decision.next == Decision::kNobody) {
      // A moment that has passed would have the driver come back at once, for ever.
      CHECK(decision.not_before > now);
      ask_again[id.value] = std::min(decision.not_before, NextSlot(device));
      return;
    }
    CHECK(decision.next < device.waiting.size());
    if (decision.reason == Reason::kProbe) device.probed = device.turns;
    GrantWaiting(id, decision.next, decision.reason);
  }
}

void Engine::Impl::GrantWaiting(DeviceId id, std::size_t index, Reason reason) {
  DeviceState& device = At(id);
  const auto place = device.waiting.begin() + static_cast<std::ptrdiff_t>(index);
  const WaitingTurn waited = *place;
  Stream& stream = streams.at(waited.client);
  Seat& seat = stream.seats[id.value];
  RunningTurn turn{.client = waited.client,
                   .seq = waited.seq,
                   .granted = now,
                   .lease_end = now + stream.lease,
                   .body_due = waited.body_due,
                   .expected = waited.expected,
                   .occupancy = waited.occupancy};
  AssignCores(id, seat, turn);
  for (auto passed = device.waiting.begin(); passed != place; ++passed) ++passed->overtaken;
  device.waiting.erase(place);
  device.last_grant = now;
  stream.waits.Add({id, waited.requested, now, waited.deferred, waited.overtaken, reason});
  seat.deferred = waited.deferred;
  ++stream.counters.granted;
  const RunningTurn& running = StartRunning(device, seat, std::move(turn));
  actions->push_back(
      Grant{running.client, running.seq, id, stream.lease, waited.deferred, running.cores, reason});
}

void Engine::Impl::AssignCores(DeviceId id, Seat& seat, RunningTurn& turn) {
  const DeviceState& device = At(id);
  if (!policy->gates || device.cores.empty()) return;
  // Rivals: streams that run or wait here, or did a moment ago. No more than k of them matter.
  const auto enough = static_cast<std::size_t>(device.concurrency);
  std::size_t active = device.running.size() + device.waiting.size();
  for (auto stream = streams.begin(); active < enough && stream != streams.end(); ++stream) {
    const Seat& other = stream->second.seats[id.value];
    if (other.holds == Holds::kNothing && other.last_done &&
        now - *other.last_done <= config.active_window) {
      ++active;
    }
  }
  cores.Choose(device, seat, CoreShare(device, active), &turn.cores);
  seat.last_cores = turn.cores;
}

RunningTurn& Engine::Impl::StartRunning(DeviceState& device, Seat& seat, RunningTurn turn) {
  seat.holds = Holds::kRuns;
  seat.seq = turn.seq;
  ++device.in_force;
  ++device.turns;
  return device.running.emplace_back(std::move(turn));
}

// Takes back whatever the seat holds; the caller dispatches.
void Engine::Impl::Leave(DeviceState& device, ClientId client, Seat& seat) {
  switch (seat.holds) {
    case Holds::kNothing:
      return;
    case Holds::kWaits:
      if (std::erase_if(device.deferred, [&](const auto& turn) { return turn.client == client; }) ==
          0) {
        device.waiting.erase(FindTurn(device.waiting, client));
      }
      break;
    case Holds::kRuns:
      --device.in_force;
      device.past.Add({client, FindTurn(device.running, client)->granted, now});
      [[fallthrough]];
    case Holds::kExpired:
      device.running.erase(FindTurn(device.running, client));
      break;
  }
  seat.holds = Holds::kNothing;
  CHECK(device.in_force >= 0);
}

}  // namespace stagger::core
