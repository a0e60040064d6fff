#include "daemon/view/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "core/waiting.h"
#include "daemon/loop/peer.h"

namespace stagger::daemon {
namespace {

using nlohmann::json;

constexpr std::size_t kShownWaits = 8;
constexpr std::size_t kShownNames = 20;  // of streams, where none has the name asked for

double Rounded(double value) { return std::round(value * 1000) / 1000; }
double Ms(Duration d) { return Rounded(ToMs(d)); }
double Seconds(Duration d) { return Rounded(ToMs(d) / 1000); }
double Ratio(Duration part, Duration whole) {
  return whole > Duration{}
             ? Rounded(static_cast<double>(part.count()) / static_cast<double>(whole.count()))
             : 0;
}

bool IsCopyOf(const std::string& stream, const std::string& app) {
  return stream.size() > app.size() + 1 && stream.starts_with(app + "-") &&
         stream.find_first_not_of("0123456789", app.size() + 1) == std::string::npos;
}

// Those that the name means: the stream itself, else the app's copies, else the process's.
std::vector<ClientId> Find(const EngineHost& host, const std::string& name) {
  std::vector<ClientId> copies;
  std::vector<ClientId> of_process;
  for (const auto& [client, stream] : host.engine().streams()) {
    const StreamRecord* record = host.ledger().Find(client);
    if (record == nullptr) continue;
    if (record->name == name) return {client};
    if (IsCopyOf(record->name, name)) copies.push_back(client);
    if (std::to_string(record->pid) == name) of_process.push_back(client);
  }
  return copies.empty() ? of_process : copies;
}

Error Unknown(const EngineHost& host, const std::string& name) {
  std::string names;
  std::size_t count = 0;
  for (const auto& [client, stream] : host.engine().streams()) {
    const StreamRecord* record = host.ledger().Find(client);
    if (record == nullptr || ++count > kShownNames) continue;
    names += (names.empty() ? "" : ", ") + record->name;
  }
  if (count > kShownNames) names += fmt::format(" and {} more", count - kShownNames);
  const std::string known = names.empty() ? "there are no streams" : "there are " + names;
  return Error{Printable(fmt::format("no stream is called '{}'; {}", name, known))};
}

json WaitsJson(const EngineHost& host, const core::Stream& stream, ClientId client, TimePoint now) {
  const core::WaitingAccount account = core::AccountOf(host.engine(), client);
  json behind = json::array();
  Duration gone{};
  for (const auto& [other, time] : account.behind) {
    const std::string* name = host.ledger().NameOf(other);
    if (name == nullptr) {
      gone += time;
    } else {
      behind.push_back(
          {{"stream", *name}, {"time_ms", Ms(time)}, {"ratio", Ratio(time, account.queued)}});
    }
  }
  std::map<core::Reason, int> counts;
  json recent = json::array();
  const core::PastWait* longest = nullptr;
  const auto wait_json = [&](const core::PastWait& wait) -> json {
    return {{"ago_s", Seconds(now - wait.granted)},
            {"device", host.engine().devices()[wait.device.value].name},
            {"wait_ms", Ms(wait.granted - wait.requested)},
            {"held_ms", Ms(wait.held)},
            {"overtaken", wait.overtaken},
            {"reason", core::ToString(wait.reason)}};
  };
  for (std::size_t age = 0; age < stream.waits.size(); ++age) {
    const core::PastWait& wait = stream.waits[age];
    ++counts[wait.reason];
    if (age < kShownWaits) recent.push_back(wait_json(wait));
    if (longest == nullptr ||
        wait.granted - wait.requested > longest->granted - longest->requested) {
      longest = &wait;
    }
  }
  json reasons = json::array();
  for (const auto& [reason, count] : counts) {
    reasons.push_back({{"reason", core::ToString(reason)}, {"count", count}});
  }
  std::stable_sort(reasons.begin(), reasons.end(), [](const json& a, const json& b) {
    return a["count"].get<int>() > b["count"].get<int>();
  });
  return {{"count", stream.waits.size()},
          {"accounted", account.waits},
          {"overtaken", account.overtaken},
          {"time_ms", Ms(account.waited)},
          {"held_ms", Ms(account.held)},
          {"queued_ms", Ms(account.queued)},
          {"behind", std::move(behind)},
          {"behind_gone_ms", Ms(gone)},
          {"nobody_ms", Ms(account.nobody)},
          {"nobody_ratio", Ratio(account.nobody, account.queued)},
          {"longest", longest != nullptr ? wait_json(*longest) : json(nullptr)},
          {"reasons", std::move(reasons)},
          {"recent", std::move(recent)}};
}

json IncidentsJson(const core::Stream& stream, TimePoint now) {
  json incidents = json::array();
  for (std::size_t age = 0; age < stream.incidents.size(); ++age) {
    const core::Incident& incident = stream.incidents[age];
    const bool expired = incident.kind == core::Incident::Kind::kExpired;
    incidents.push_back({{"kind", expired ? "lease ended" : "gave up waiting"},
                         {"ago_s", Seconds(now - incident.at)},
                         {"after_ms", Ms(incident.after)}});
  }
  return incidents;
}

json NamedIn(const json& list, const json& name) {
  const auto found =
      std::ranges::find_if(list, [&](const json& one) { return one["name"] == name; });
  return found == list.end() ? json(nullptr) : *found;
}

// Streams whose inferences run in it, where it is an executor.
json ServedBy(const json& streams, const json& executor) {
  json served = json::array();
  for (const json& other : streams) {
    const auto on = other.find("on");
    if (on == other.end() || !on->is_array()) continue;
    if (std::ranges::find(*on, executor["name"]) != on->end()) served.push_back(other["name"]);
  }
  return served;
}

// Of the executors that it uses, those that ask for turns here; others have their part of a device
// to themselves.
json ThatAsk(const json& streams, const json& stream) {
  json names = json::array();
  const auto on = stream.find("on");
  if (on == stream.end() || !on->is_array()) return names;
  for (const json& name : *on) {
    if (!NamedIn(streams, name).is_null()) names.push_back(name);
  }
  return names;
}

// Faults of GPUs that it was among.
json FaultsOf(const json& faults, const json& stream) {
  json own = json::array();
  for (const json& fault : faults) {
    if (!NamedIn(fault["streams"], stream["name"]).is_null()) own.push_back(fault);
  }
  return own;
}

}  // namespace

Result<json> Why(const EngineHost& host, const json& status, const std::string& name,
                 TimePoint now) {
  const std::vector<ClientId> clients = Find(host, name);
  if (clients.empty()) return Unknown(host, name);
  json answer = {{"policy", status["policy"]},
                 {"admission", status["admission"]},
                 {"mps", status["mps"]},
                 {"streams", json::array()}};
  for (const ClientId client : clients) {
    const core::Stream& stream = host.engine().streams().at(client);
    const StreamRecord* record = host.ledger().Find(client);
    json facts = NamedIn(status["streams"], record->name);
    if (facts.is_null()) continue;
    json rivals = json::array();
    for (const json& other : status["streams"]) {
      if (other["name"] == facts["name"] || other["device"] != facts["device"]) continue;
      json rival;
      for (const char* field : {"name", "weight", "fps_required", "fps_assigned", "fps"}) {
        rival[field] = other[field];
      }
      rivals.push_back(std::move(rival));
    }
    const bool lowered = stream.assigned_fps > 0;
    answer["streams"].push_back(
        {{"stream", facts},
         {"device", NamedIn(status["devices"], facts["device"])},
         {"rivals", facts["device"].is_null() ? json::array() : std::move(rivals)},
         {"rate",
          {{"min_fps", stream.spec.min_fps},
           {"cap_fps", stream.cap_fps > 0 ? json(stream.cap_fps) : json(nullptr)},
           {"occupied_ms", Ms(stream.occupied)},
           {"lowered_s", lowered ? json(Seconds(now - stream.lowered_since)) : json(nullptr)}}},
         {"served", ServedBy(status["streams"], facts)},
         {"on_streams", ThatAsk(status["streams"], facts)},
         {"lease_ms", Ms(stream.lease)},
         {"wait_bound_ms", Ms(stream.told_bound)},
         {"waits", WaitsJson(host, stream, client, now)},
         {"incidents", IncidentsJson(stream, now)},
         {"faults", FaultsOf(status["faults"], facts)}});
  }
  // The status document may be some milliseconds old.
  if (answer["streams"].empty()) return Error{fmt::format("'{}' has only just joined", name)};
  return answer;
}

}  // namespace stagger::daemon
