// The engine's inside; only engine*.cc include this. engine.cc: creation, the step, the views;
// engine_streams.cc: streams, and what they are told; engine_turns.cc: a turn's life;
// engine_rates.cc: what happens under overload; engine_exclusive.cc: a device that one stream has
// to itself.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/concurrency_tuner.h"
#include "core/cores.h"
#include "core/engine.h"
#include "core/policies.h"

namespace stagger::core {

// A stream that states no deadline takes its place among those that do as if it had this one: it
// gives way to streams in a hurry, but not for ever.
inline constexpr Duration kPatience = std::chrono::seconds{1};

Duration PeriodOf(double fps);  // fps > 0

struct Engine::Impl {
  explicit Impl(EngineConfig engine_config);

  EngineConfig config;
  const Policy* policy;  // config.policy names it
  std::map<ClientId, Stream> streams;
  std::vector<DeviceState> devices;
  // By DeviceId: finds k. Empty unless the policy leaves it to us.
  std::vector<ConcurrencyTuner> tuners;
  std::vector<TimePoint> ask_again;  // by DeviceId: when the policy wants to be asked, or kNever
  TimePoint now{};
  std::vector<Action>* actions = nullptr;  // of the step under way
  std::uint64_t invalid = 0;
  Duration leases{};       // of all streams, added up
  Duration leases_told{};  // `leases` when the bounds were last compared with what was told
  TimePoint rates_due{};   // when rates are looked at again, at the next release
  CoreChooser cores;

  // engine.cc
  void Step(const Event& event, TimePoint at);
  void PassTime(TimePoint at);
  void Tune();
  ConcurrencyTuner::Load LoadFor(DeviceId id) const;

  // engine_streams.cc
  void On(const ClientJoined& event);
  void On(const ClientLeft& event);
  void On(const WarmupPassed& event);
  void On(const InferenceForwarded& event);
  void On(const PolicySet& event);
  void On(const RateCapped& event);
  void On(const ExcessHandled& event);
  void On(const Tick&) {}
  void SetPolicy(const PolicySpec& spec);
  void SetLease(Stream& stream);
  Duration BoundFor(const Stream& stream) const;
  static Duration PeriodFor(const Stream& stream);
  void Tell(ClientId client, Stream& stream, Reason reason);
  void TellWhereWorthIt(Reason reason);
  Stream* FindStream(ClientId client);  // null: counted as invalid

  // engine_rates.cc
  double ShareOf(const Stream& stream) const;
  Duration::rep SlotsOf(const DeviceState& device) const;
  void NoteOccupied(Stream& stream, DeviceId device, Duration held);
  void UpdateRates();
  void UpdateRates(DeviceId id);
  bool FitsNow(const DeviceState& device, const WaitingTurn& turn, TimePoint due) const;
  void LetIn(DeviceId id);
  void Enter(DeviceState& device, WaitingTurn turn);
  TimePoint NextSlot(const DeviceState& device) const;

  // engine_exclusive.cc
  std::uint32_t ExclusiveFor(ClientId client) const;
  bool MayBeExclusive(const DeviceState& device, const Stream& stream) const;
  void NoteUser(DeviceState& device, ClientId client);
  void GiveExclusive(DeviceId id, ClientId client, Stream& stream);
  void EndExclusive(DeviceState& device, Reason reason);
  void ForgetUser(DeviceState& device, ClientId client);
  void EndExclusiveEverywhere(Reason reason);
  void BeginExclusive(DeviceId id, Stream& stream, const TurnRequested& event);

  // engine_turns.cc
  void On(const TurnRequested& event);
  void On(const TurnReleased& event);
  void On(const InferenceEnded& event);
  void NoteBeside(Stream& stream, const RunningTurn& turn);
  bool ProbeDue(const DeviceState& device) const;
  void RecordCall(Stream& stream, DeviceId device, Duration call);
  TimePoint BodyDue(const Stream& stream, Duration since_call) const;
  void On(const TurnCancelled& event);
  void NoteGaveUp(Stream& stream, const DeviceState& device, ClientId client, const Seat& seat);
  void On(const TurnClaimed& event);
  void Record(Stream& stream, const TurnReleased& event, const Detached& turn);
  void ExpireLeases();
  void Dispatch(DeviceId device, Reason cause);
  void GrantWaiting(DeviceId id, std::size_t index, Reason reason);
  RunningTurn& StartRunning(DeviceState& device, Seat& seat, RunningTurn turn);
  void Leave(DeviceState& device, ClientId client, Seat& seat);
  void AssignCores(DeviceId id, Seat& seat, RunningTurn& turn);
  Duration Sane(Duration claimed, Stream& stream) const;

  DeviceState& At(DeviceId id) { return devices[id.value]; }
};

}  // namespace stagger::core
