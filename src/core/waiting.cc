#include "core/waiting.h"

#include <algorithm>
#include <map>

namespace stagger::core {
namespace {

// Turns that ran during [from, to), clipped to it.
std::vector<PastTurn> During(const DeviceState& device, TimePoint from, TimePoint to,
                             ClientId self) {
  std::vector<PastTurn> turns;
  const auto add = [&](ClientId client, TimePoint granted, TimePoint ended) {
    const PastTurn clipped{client, std::max(granted, from), std::min(ended, to)};
    if (client != self && clipped.granted < clipped.ended) turns.push_back(clipped);
  };
  for (const RunningTurn& turn : device.running) {
    if (!turn.expired) add(turn.client, turn.granted, to);
  }
  for (std::size_t age = 0; age < device.past.size(); ++age) {
    const PastTurn& turn = device.past[age];
    if (turn.ended <= from) break;  // so did all before it
    add(turn.client, turn.granted, turn.ended);
  }
  return turns;
}

// Adds the time of [from, to) to those that ran, in equal parts where several did.
void Divide(std::vector<PastTurn> turns, Duration all, std::map<ClientId, Duration>* behind,
            Duration* nobody) {
  struct Edge {
    TimePoint at;
    std::size_t turn;
    bool begins;
  };
  std::vector<Edge> edges;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    edges.push_back({turns[i].granted, i, true});
    edges.push_back({turns[i].ended, i, false});
  }
  std::ranges::sort(edges, {}, &Edge::at);
  std::vector<std::size_t> running;
  Duration covered{};
  TimePoint since{};
  for (const Edge& edge : edges) {
    if (!running.empty()) {
      const Duration passed = edge.at - since;
      covered += passed;
      for (const std::size_t i : running) {
        (*behind)[turns[i].client] += passed / static_cast<Duration::rep>(running.size());
      }
    }
    since = edge.at;
    if (edge.begins) {
      running.push_back(edge.turn);
    } else {
      std::erase(running, edge.turn);
    }
  }
  *nobody += all - covered;
}

}  // namespace

WaitingAccount AccountOf(const Newest<PastWait, 64>& waits, std::span<const DeviceState> devices,
                         ClientId client) {
  WaitingAccount account;
  std::map<ClientId, Duration> behind;
  for (std::size_t age = 0; age < waits.size(); ++age) {
    const PastWait& wait = waits[age];
    const DeviceState& device = devices[wait.device.value];
    const TimePoint from = wait.requested + wait.deferred;
    if (device.past.full() && device.past[device.past.size() - 1].ended > from) continue;
    ++account.waits;
    if (wait.overtaken > 0) ++account.overtaken;
    account.deferred += wait.deferred;
    account.queued += wait.granted - from;
    Divide(During(device, from, wait.granted, client), wait.granted - from, &behind,
           &account.nobody);
  }
  account.waited = account.deferred + account.queued;
  for (const auto& [other, time] : behind) account.behind.push_back({other, time});
  std::ranges::stable_sort(account.behind, std::ranges::greater{}, &WaitingAccount::Behind::time);
  return account;
}

}  // namespace stagger::core
