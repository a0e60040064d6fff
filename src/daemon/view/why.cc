#include "daemon/view/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/waiting.h"
#include "daemon/loop/peer.h"
#include "daemon/view/values.h"

namespace stagger::daemon {
namespace {

constexpr std::size_t kShownWaits = 8;
constexpr std::size_t kShownNames = 20;  // of streams, where none has the name asked for

double Ratio(Duration part, Duration whole) {
  if (whole <= Duration{}) return 0;
  return std::round(1000 * ToMs(part) / ToMs(whole)) / 1000;
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

documents::Waits WaitsOf(const WhyFacts& facts, const WhyFacts::One& one) {
  const core::WaitingAccount account = core::AccountOf(one.waits, facts.devices, one.client);
  documents::Waits out;
  out.count = one.waits.size();
  out.accounted = account.waits;
  out.overtaken = account.overtaken;
  out.time_ms = RoundedMs(account.waited);
  out.deferred_ms = RoundedMs(account.deferred);
  out.queued_ms = RoundedMs(account.queued);
  out.nobody_ms = RoundedMs(account.nobody);
  out.nobody_ratio = Ratio(account.nobody, account.queued);
  Duration gone{};
  for (const auto& [other, time] : account.behind) {
    const auto name = facts.names.find(other);
    if (name == facts.names.end()) {
      gone += time;
    } else {
      out.behind.push_back({name->second, RoundedMs(time), Ratio(time, account.queued)});
    }
  }
  out.behind_gone_ms = RoundedMs(gone);
  std::map<core::Reason, int> counts;
  const auto told = [&](const core::PastWait& wait) -> documents::Wait {
    return {RoundedSeconds(facts.now - wait.granted),
            facts.devices[wait.device.value].name,
            RoundedMs(wait.granted - wait.requested),
            RoundedMs(wait.deferred),
            wait.overtaken,
            core::ToString(wait.reason)};
  };
  Duration longest{-1};
  for (std::size_t age = 0; age < one.waits.size(); ++age) {
    const core::PastWait& wait = one.waits[age];
    ++counts[wait.reason];
    if (age < kShownWaits) out.recent.push_back(told(wait));
    if (wait.granted - wait.requested <= longest) continue;
    longest = wait.granted - wait.requested;
    out.longest = told(wait);
  }
  for (const auto& [reason, count] : counts) out.reasons.push_back({core::ToString(reason), count});
  std::ranges::stable_sort(out.reasons, std::greater{}, &documents::ReasonCount::count);
  return out;
}

template <typename Named>
const Named* Find(const std::vector<Named>& list, const std::string& name) {
  const auto found = std::ranges::find(list, name, &Named::name);
  return found == list.end() ? nullptr : &*found;
}

// What the status says of the stream and of those beside it.
void PutStanding(const documents::Status& status, const documents::Stream& stream,
                 documents::WhyStream* out) {
  out->stream = stream;
  if (stream.device) {
    if (const documents::Device* device = Find(status.devices, *stream.device)) {
      out->device = *device;
    }
  }
  for (const documents::Stream& other : status.streams) {
    if (stream.device && other.device == stream.device && other.name != stream.name) {
      out->rivals.push_back(
          {other.name, other.weight, other.fps_required, other.fps_assigned, other.fps});
    }
    // Streams whose inferences run in it, where it is an executor.
    if (other.on && std::ranges::count(*other.on, stream.name) > 0) {
      out->served.push_back(other.name);
    }
  }
  // Of the executors that it uses, those that ask for turns here; others have their part of a
  // device to themselves.
  for (const std::string& name : stream.on.value_or(documents::Names())) {
    if (Find(status.streams, name) != nullptr) out->on_streams.push_back(name);
  }
  for (const documents::Fault& fault : status.faults) {
    if (Find(fault.streams, stream.name) != nullptr) out->faults.push_back(fault);
  }
}

}  // namespace

Result<WhyFacts> FactsFor(const EngineHost& host, std::shared_ptr<const Snapshot> snapshot,
                          const std::string& name, TimePoint now) {
  const std::vector<ClientId> clients = Find(host, name);
  if (clients.empty()) return Unknown(host, name);
  const auto devices = host.engine().devices();
  WhyFacts facts{
      std::move(snapshot), now, {devices.begin(), devices.end()}, host.ledger().Names(), {}};
  for (const ClientId client : clients) {
    const core::Stream& stream = host.engine().streams().at(client);
    WhyFacts::One one{client, {}, stream.waits};
    one.known.rate.min_fps = stream.spec.min_fps;
    if (stream.cap_fps > 0) one.known.rate.cap_fps = stream.cap_fps;
    one.known.rate.occupied_ms = RoundedMs(stream.occupied);
    if (stream.assigned_fps > 0) {
      one.known.rate.lowered_s = RoundedSeconds(now - stream.lowered_since);
    }
    one.known.lease_ms = RoundedMs(stream.lease);
    one.known.wait_bound_ms = RoundedMs(stream.told_bound);
    for (std::size_t age = 0; age < stream.incidents.size(); ++age) {
      const core::Incident& incident = stream.incidents[age];
      const bool expired = incident.kind == core::Incident::Kind::kExpired;
      one.known.incidents.push_back({expired ? "lease ended" : "gave up waiting",
                                     RoundedSeconds(now - incident.at), RoundedMs(incident.after)});
    }
    facts.streams.push_back(std::move(one));
  }
  return facts;
}

Result<documents::Why> WhyFacts::Explain() const {
  const documents::Status status = snapshot->Complete();
  documents::Why why{status.policy, status.admission, status.mps, {}};
  for (const One& one : streams) {
    const documents::Stream* stream = Find(status.streams, names.at(one.client));
    if (stream == nullptr) continue;
    documents::WhyStream said = one.known;
    PutStanding(status, *stream, &said);
    said.waits = WaitsOf(*this, one);
    why.streams.push_back(std::move(said));
  }
  // The snapshot may be some milliseconds old.
  if (why.streams.empty()) {
    return Error{fmt::format("'{}' has only just joined", names.at(streams.front().client))};
  }
  return why;
}

}  // namespace stagger::daemon
