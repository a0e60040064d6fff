// What holds for every sequence of events, sensible or not. A world of a few clients is driven by
// random moves; a shadow of what the engine said is kept beside it and compared at every step.
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/engine.h"

namespace stagger::core {
namespace {

enum class Kind : std::uint8_t {
  kJoin,
  kLeave,
  kAsk,
  kBeginUngated,
  kRelease,
  kCancel,
  kClaim,
  kWarmup,
  kPolicy,
  kTick,
  kNonsense
};

// Indices, not events: which event a move becomes depends on the world it meets, so that most make
// sense, and that a shrunk sequence still does.
struct Move {
  Kind kind{};
  std::uint64_t client = 0;
  std::uint32_t device = 0;
  std::int64_t ms = 0;  // that pass before it
  int k = 0;
};

void showValue(const Move& move, std::ostream& out) {
  static constexpr const char* kNames[] = {"join",    "leave",  "ask",     "begin",
                                           "release", "cancel", "claim",   "warmup",
                                           "policy",  "tick",   "nonsense"};
  out << kNames[static_cast<int>(move.kind)] << "(client " << move.client << ", device "
      << move.device << ", after " << move.ms << " ms, k " << move.k << ")";
}

constexpr std::uint64_t kClients = 6;
constexpr std::uint32_t kDevices = 2;

rc::Gen<Move> AnyMove(bool well_behaved) {
  // Asking and releasing come most often, as they do in life.
  const auto kind = well_behaved ? rc::gen::weightedElement<Kind>({{2, Kind::kJoin},
                                                                   {1, Kind::kLeave},
                                                                   {12, Kind::kAsk},
                                                                   {8, Kind::kRelease},
                                                                   {2, Kind::kCancel},
                                                                   {2, Kind::kTick}})
                                 : rc::gen::weightedElement<Kind>({{3, Kind::kJoin},
                                                                   {1, Kind::kLeave},
                                                                   {12, Kind::kAsk},
                                                                   {2, Kind::kBeginUngated},
                                                                   {9, Kind::kRelease},
                                                                   {2, Kind::kCancel},
                                                                   {1, Kind::kClaim},
                                                                   {1, Kind::kWarmup},
                                                                   {1, Kind::kPolicy},
                                                                   {3, Kind::kTick},
                                                                   {2, Kind::kNonsense}});
  const auto ms =
      rc::gen::weightedOneOf<std::int64_t>({{6, rc::gen::inRange<std::int64_t>(0, 60)},
                                            {3, rc::gen::just<std::int64_t>(0)},
                                            {1, rc::gen::inRange<std::int64_t>(60, 700)}});
  return rc::gen::build<Move>(
      rc::gen::set(&Move::kind, kind),
      rc::gen::set(&Move::client, rc::gen::inRange<std::uint64_t>(0, kClients)),
      rc::gen::set(&Move::device, rc::gen::inRange<std::uint32_t>(0, kDevices)),
      rc::gen::set(&Move::ms, ms), rc::gen::set(&Move::k, rc::gen::inRange(0, 4)));
}

std::vector<Move> AnyMoves(bool well_behaved) {
  return *rc::gen::scale(3.0, rc::gen::container<std::vector<Move>>(AnyMove(well_behaved)));
}

Duration Ms(std::int64_t ms) { return std::chrono::milliseconds{ms}; }

// The first client states no deadline, the others one each. Where `rated`, half of them need more
// than there is.
StreamSpec SpecOf(std::uint64_t client, bool rated) {
  StreamSpec spec;
  spec.deadline = Ms(static_cast<std::int64_t>(client) * 40);
  if (rated && client % 2 == 1) spec.required_fps = 40;
  return spec;
}

EngineConfig TwoDevices(const PolicySpec& policy) {
  EngineConfig config;
  config.devices = {{"cpu:0", {0, 1, 2, 3}}, {"gpu:0", {}}};
  config.policy = policy;
  config.exclusive_after = Ms(1);  // so that it comes about often
  return config;
}

PolicySpec PolicyOf(const Move& move) {
  if (move.k == 0) return {.name = "off"};
  return {.name = move.ms % 2 == 0 ? "fifo" : "edf", .concurrency = move.k};
}

// Whether at most a fixed number at once is all that the policy asks for.
bool CountsOnly(const PolicySpec& policy) {
  return policy.name != "spaced" && !policy.auto_concurrency && policy.demand_limit == 0;
}

// Drives the engine and checks each answer against its own books, which know nothing of how the
// engine keeps its own.
class World {
 public:
  explicit World(PolicySpec policy, bool rated = false)
      : policy_(std::move(policy)),
        rated_(rated),
        engine_(std::move(Engine::Create(TwoDevices(policy_))).value()) {}

  void Make(const Move& move) {
    now_ = now_ + Ms(move.ms);
    Do(EventOf(move));
  }

  void Do(const Event& event) {
    const auto before =
        std::vector<DeviceState>(engine_.devices().begin(), engine_.devices().end());
    const std::vector<Action> actions = engine_.Step(event, now_);
    events_.emplace_back(event, now_);
    said_.push_back(actions);
    for (const Action& action : actions) {
      const auto* told = std::get_if<Configure>(&action);
      if (told == nullptr) continue;
      ToldExclusive& exclusive = exclusive_[told->client];
      if (told->exclusive != exclusive.now) exclusive = {told->exclusive, exclusive.now, now_};
    }
    if (const auto* left = std::get_if<ClientLeft>(&event)) exclusive_.erase(left->client);
    for (const Action& action : actions) {
      std::visit(
          [](const auto& a) { RC_ASSERT(std::string(ToString(a.reason)) != "no reason known"); },
          action);
    }
    CheckOrder(before, event, actions);
    CheckGone(event, actions);
    CheckDevices();
    CheckTime(before);
  }

  // Nobody releases any more; only time passes. All that wait must still get a turn.
  void CheckNobodyStarves() {
    if (engine_.policy().name == "off") return;
    const TimePoint from = now_;
    std::map<std::uint32_t, Duration> work;
    for (std::uint32_t id = 0; id < kDevices; ++id) {
      for (const RunningTurn& turn : engine_.devices()[id].running) {
        if (!turn.expired) work[id] += turn.lease_end - now_;
      }
      for (const WaitingTurn& turn : engine_.devices()[id].waiting) {
        work[id] += engine_.streams().at(turn.client).lease;
      }
    }
    // A limit that is being found makes the engine tick for ever.
    const auto busy = [](const DeviceState& device) {
      return device.in_force > 0 || !device.waiting.empty() || !device.deferred.empty();
    };
    for (int steps = 0; std::ranges::any_of(engine_.devices(), busy); ++steps) {
      RC_ASSERT(steps < 100'000);
      RC_ASSERT(engine_.NextDeadline() != kNever);
      RC_ASSERT(engine_.NextDeadline() > now_);
      now_ = engine_.NextDeadline();
      Do(Tick{});
      for (const Action& action : said_.back()) {
        const auto* grant = std::get_if<Grant>(&action);
        if (grant == nullptr) continue;
        // While anybody waits at least k run, so all that lies before it is done in work / k.
        const int k = engine_.devices()[grant->device.value].concurrency;
        // A slot, or the next start under a spacing, may come much later.
        if (rated_ || !CountsOnly(engine_.policy())) continue;
        // And a millisecond where a device has been one stream's.
        RC_ASSERT(now_ - from <= work[grant->device.value] / k + Duration{k} + Ms(1));
      }
    }
    for (const DeviceState& device : engine_.devices()) {
      RC_ASSERT(device.waiting.empty());
      RC_ASSERT(device.deferred.empty());
      RC_ASSERT(device.in_force == 0);
    }
  }

  void CheckReplayAgrees() const {
    Engine again = std::move(Engine::Create(TwoDevices(policy_))).value();
    for (std::size_t i = 0; i < events_.size(); ++i) {
      RC_ASSERT(again.Step(events_[i].first, events_[i].second) == said_[i]);
    }
  }

  const Engine& engine() const { return engine_; }

 private:
  Event EventOf(const Move& move) {
    const ClientId client{move.client};
    switch (move.kind) {
      case Kind::kJoin:
        return ClientJoined{client, SpecOf(move.client, rated_)};
      case Kind::kLeave:
        return ClientLeft{client};
      case Kind::kAsk:
        return TurnRequested{client, {++seq_}, {move.device},
                             Ms(1),  true,     MayBegin(client, move.device)};
      case Kind::kBeginUngated:
        return TurnRequested{client, {++seq_}, {move.device}, Ms(1), false};
      case Kind::kRelease:
        return TurnReleased{client, HeldBy(client, move), Ms(move.ms), {}, {}};
      case Kind::kCancel:
        return TurnCancelled{client, HeldBy(client, move)};
      case Kind::kClaim:
        return TurnClaimed{client, {++seq_}, {move.device}, Ms(move.ms)};
      case Kind::kWarmup:
        if (move.k > 1) return ExcessHandled{client, 7, 1, move.k > 2};
        return WarmupPassed{client, 1};
      case Kind::kPolicy:
        return PolicySet{PolicyOf(move)};
      case Kind::kTick:
        return Tick{};
      case Kind::kNonsense:
        break;
    }
    switch (move.k) {
      case 0:
        return TurnRequested{client, {++seq_}, {kDevices + move.device}, Ms(-1), true};
      case 1:
        return TurnReleased{client, {seq_}, Ms(-1), Duration::min(), Duration::max()};
      case 2:
        return PolicySet{{"lottery", 1}};
      default:
        return TurnClaimed{client, {seq_}, {move.device}, Duration::min()};
    }
  }

  // A turn of this client's on the move's device if it has one, else one that does not exist.
  TurnSeq HeldBy(ClientId client, const Move& move) const {
    const DeviceState& device = engine_.devices()[move.device];
    for (const RunningTurn& turn : device.running) {
      if (turn.client == client) return turn.seq;
    }
    for (const WaitingTurn& turn : device.waiting) {
      if (turn.client == client) return turn.seq;
    }
    for (const WaitingTurn& turn : device.deferred) {
      if (turn.client == client) return turn.seq;
    }
    return {0};
  }

  // Told that it has the device to itself, and not otherwise half a millisecond ago at the latest:
  // that word may be under way.
  bool MayBegin(ClientId client, std::uint32_t device) const {
    const auto told = exclusive_.find(client);
    if (told == exclusive_.end()) return false;
    const auto& [now, before, since] = told->second;
    return ((now_ - since < Ms(1) ? before : now) >> device & 1) != 0;
  }

  struct Asked {
    ClientId client;
    TimePoint due;
  };
  TimePoint DueIfAskedNow(ClientId client) const {
    const Duration deadline = SpecOf(client.value, rated_).deadline;
    return now_ - Ms(1) + (deadline > Duration{} ? deadline : Ms(1000));
  }

  // Grants go to the head of the queue, or under edf to the one due first, and never beyond k.
  void CheckOrder(const std::vector<DeviceState>& before, const Event& event,
                  const std::vector<Action>& actions) {
    std::map<std::uint32_t, std::vector<Asked>> queue;
    for (std::uint32_t id = 0; id < kDevices; ++id) {
      for (const WaitingTurn& turn : before[id].waiting) {
        const auto* left = std::get_if<ClientLeft>(&event);
        const auto* cancelled = std::get_if<TurnCancelled>(&event);
        const auto* released = std::get_if<TurnReleased>(&event);
        const bool given_up =
            (left && left->client == turn.client) ||
            (cancelled && cancelled->client == turn.client && cancelled->seq == turn.seq) ||
            (released && released->client == turn.client && released->seq == turn.seq);
        // It may have been granted by a lease that ended first, in this same step.
        const bool granted = std::ranges::any_of(actions, [&](const Action& action) {
          const auto* grant = std::get_if<Grant>(&action);
          return grant && grant->client == turn.client && grant->seq == turn.seq;
        });
        if (!given_up || granted) queue[id].push_back({turn.client, turn.body_due});
      }
    }
    const auto* request = std::get_if<TurnRequested>(&event);
    const bool asks = request != nullptr && request->gated && !request->exclusive;
    const ClientId newest = asks ? request->client : ClientId{};
    if (const auto* asked = request; asks) {
      if (asked->device.value < kDevices) {
        queue[asked->device.value].push_back({asked->client, DueIfAskedNow(asked->client)});
      }
    }
    for (const Action& action : actions) {
      const auto* grant = std::get_if<Grant>(&action);
      if (grant == nullptr) continue;
      if (rated_) {  // one held back joins the queue unseen by these books
        CheckGrant(*grant, event, before);
        continue;
      }
      auto& waiting = queue[grant->device.value];
      RC_ASSERT(!waiting.empty());
      const auto place = std::ranges::find(waiting, grant->client, &Asked::client);
      RC_ASSERT(place != waiting.end());
      // A change of policy may come after grants of the old one, in the same step.
      if (!std::holds_alternative<PolicySet>(event)) {
        const bool edf = engine_.policy().name == "edf";
        // A turn asked for in this step comes last, and after a lease that ended first.
        const auto old_end = waiting.end() - (asks && waiting.back().client == newest ? 1 : 0);
        const auto due_first = [&](auto end) {
          return std::ranges::min_element(waiting.begin(), end, {}, &Asked::due);
        };
        const bool right = edf ? place == due_first(old_end) || place == due_first(waiting.end())
                               : place == waiting.begin();
        RC_ASSERT(right);
        RC_ASSERT(edf || grant->reason != Reason::kDeadline);
      }
      waiting.erase(place);
      CheckGrant(*grant, event, before);
    }
  }

  void CheckGrant(const Grant& grant, const Event& event,
                  const std::vector<DeviceState>& before) const {
    RC_ASSERT(grant.lease > Duration{});
    if (grant.reason == Reason::kPolicyOff) return;
    const DeviceState& device = engine_.devices()[grant.device.value];
    const PolicySpec& policy = engine_.policy();
    RC_ASSERT(grant.reason != Reason::kProbe || policy.demand_limit > 0);
    // A lease may have ended first in this step, under the limit that then changed.
    const bool changes = std::holds_alternative<PolicySet>(event);
    if (changes && grant.reason != Reason::kPolicyChange) return;
    // A body that began by itself, in this step after the grant, is beyond the engine's say.
    const auto* asked = std::get_if<TurnRequested>(&event);
    const bool begun = std::holds_alternative<TurnClaimed>(event) ||
                       (asked && (!asked->gated || asked->exclusive));
    // A limit that is being found may have changed at the end of the step.
    const int k = std::max(device.concurrency, before[grant.device.value].concurrency);
    if (policy.name != "spaced") RC_ASSERT(device.in_force <= k + (begun ? 1 : 0));
    if (policy.demand_limit > 0 && grant.reason != Reason::kProbe && !begun) {
      CheckOccupancies(device, policy.demand_limit);
    }
    RC_ASSERT(grant.cores.empty() == device.cores.empty());
    RC_ASSERT(std::ranges::is_sorted(grant.cores));
    RC_ASSERT(std::ranges::includes(device.cores, grant.cores));
  }

  // Beside others only where it fits, unless one of them is there to learn from or by itself.
  void CheckOccupancies(const DeviceState& device, double limit) const {
    double occupancies = 0;
    int fitted = 0;
    for (const RunningTurn& turn : device.running) {
      if (turn.expired) continue;
      if (!turn.gated || device.probed > 0) return;
      occupancies += turn.occupancy;
      ++fitted;
    }
    RC_ASSERT(fitted <= 1 || occupancies <= 1.06 * limit);
  }

  void CheckGone(const Event& event, const std::vector<Action>& actions) const {
    const auto* left = std::get_if<ClientLeft>(&event);
    if (left == nullptr) return;
    RC_ASSERT(!engine_.streams().contains(left->client));
    for (const DeviceState& device : engine_.devices()) {
      for (const RunningTurn& turn : device.running) RC_ASSERT(turn.client != left->client);
      for (const WaitingTurn& turn : device.waiting) RC_ASSERT(turn.client != left->client);
    }
    for (const Action& action : actions) {
      std::visit([&](const auto& a) { RC_ASSERT(a.client != left->client); }, action);
    }
  }

  void CheckDevices() const {
    const bool gates = engine_.policy().name != "off";
    for (const DeviceState& device : engine_.devices()) {
      std::set<ClientId> clients;
      int in_force = 0;
      for (const RunningTurn& turn : device.running) {
        RC_ASSERT(clients.insert(turn.client).second);  // one turn per client and device
        RC_ASSERT(engine_.streams().contains(turn.client));
        RC_ASSERT(turn.granted <= now_);
        if (gates) RC_ASSERT(turn.expired || (turn.lease_end > now_ && turn.lease_end != kNever));
        in_force += turn.expired ? 0 : 1;
      }
      for (const WaitingTurn& turn : device.waiting) RC_ASSERT(clients.insert(turn.client).second);
      for (const WaitingTurn& turn : device.deferred) RC_ASSERT(clients.insert(turn.client).second);
      RC_ASSERT(gates || device.deferred.empty());
      RC_ASSERT(in_force == device.in_force);
      if (device.waiting.empty()) continue;
      // Work-conserving: nobody waits beside a free turn, once it is known to be free.
      if (device.exclusive.notice_until > now_) continue;
      RC_ASSERT(gates);
      const PolicySpec& policy = engine_.policy();
      if (policy.name == "spaced") {
        RC_ASSERT(*device.last_grant + policy.spacing > now_);
      } else if (policy.demand_limit > 0) {
        RC_ASSERT(device.in_force > 0);
      } else {
        RC_ASSERT(device.in_force >= device.concurrency);
      }
    }
    RC_ASSERT(engine_.NextDeadline() > now_);
  }

  void CheckTime(const std::vector<DeviceState>& before) const {
    for (std::uint32_t id = 0; id < kDevices; ++id) {
      const DeviceState& device = engine_.devices()[id];
      RC_ASSERT(device.over_time <= device.body_time);
      RC_ASSERT(device.busy_time <= device.body_time);
      RC_ASSERT(device.busy_time <= now_.since_epoch);
      RC_ASSERT(device.body_time >= before[id].body_time);
      RC_ASSERT(device.body_time <= device.busy_time * static_cast<int>(kClients));
    }
  }

  PolicySpec policy_;
  bool rated_;
  Engine engine_;
  TimePoint now_{};
  std::uint64_t seq_ = 0;
  struct ToldExclusive {
    std::uint32_t now = 0;
    std::uint32_t before = 0;
    TimePoint since{};
  };
  std::map<ClientId, ToldExclusive> exclusive_;
  std::vector<std::pair<Event, TimePoint>> events_;
  std::vector<std::vector<Action>> said_;
};

PolicySpec AnyPolicy(int k) {
  return {.name = *rc::gen::element<std::string>("serial", "fifo", "edf"), .concurrency = k};
}
// Those whose limit is not a number fixed beforehand too.
PolicySpec AnyPolicyAtAll() {
  PolicySpec policy = AnyPolicy(*rc::gen::inRange(0, 4));
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return policy;
    case 1:
      policy.auto_concurrency = true;
      break;
    case 2:
      policy.demand_limit = *rc::gen::element(1.0, 1.5);
      break;
    case 3:
      policy.name = "spaced";
      policy.spacing = Ms(*rc::gen::inRange(1, 100));
      break;
  }
  return policy;
}

bool Properties() {
  bool ok = true;
  ok &= rc::check(
      "whatever happens: in order, within k, work-conserving, with reasons, no starvation", [] {
        World world(AnyPolicyAtAll());
        for (const Move& move : AnyMoves(false)) world.Make(move);
        world.CheckNobodyStarves();
      });
  ok &= rc::check("well-behaved clients never overlap beyond k", [] {
    const int k = *rc::gen::inRange(1, 4);
    World world(AnyPolicy(k));
    for (const Move& move : AnyMoves(true)) {
      world.Make(move);
      for (const DeviceState& device : world.engine().devices()) {
        RC_ASSERT(device.in_force <= k);
        RC_ASSERT(device.over_time == Duration{});
      }
    }
    world.CheckNobodyStarves();
  });
  ok &= rc::check("under overload: within k, nobody left held back, the same again", [] {
    World world(AnyPolicyAtAll(), true);
    bool overloaded = false;
    for (const Move& move : *rc::gen::scale(
             8.0, rc::gen::container<std::vector<Move>>(AnyMove(*rc::gen::arbitrary<bool>())))) {
      world.Make(move);
      for (const DeviceState& device : world.engine().devices()) overloaded |= device.overloaded();
    }
    RC_CLASSIFY(overloaded);
    world.CheckNobodyStarves();
    world.CheckReplayAgrees();
  });
  ok &= rc::check("the same events again give the same actions", [] {
    World world(AnyPolicyAtAll());
    for (const Move& move : AnyMoves(false)) world.Make(move);
    world.CheckReplayAgrees();
  });
  return ok;
}

}  // namespace
}  // namespace stagger::core

int main() { return stagger::core::Properties() ? 0 : 1; }
