#include "daemon/clients/ledger.h"

#include <algorithm>
#include <utility>

namespace stagger::daemon {
namespace {

constexpr std::size_t kGoneKept = 64;

}  // namespace

Ledger::Ledger(std::size_t devices, TimePoint now)
    : started_(now), busy_(devices, Busy{RateWindow(now), {}}) {}

void Ledger::Joined(ClientId client, StreamRecord record) {
  by_name_.emplace(record.name, client);
  streams_.emplace(client, std::move(record));
}

void Ledger::Leaving(ClientId client, const core::StreamCounters& counters) {
  AddCounters(&left_, counters);
  if (const StreamRecord* record = Find(client)) {
    if (gone_.size() == kGoneKept) gone_.pop_front();
    gone_.emplace_back(client, record->name);
    by_name_.erase(record->name);
    std::erase_if(by_socket_, [client](const auto& entry) { return entry.second == client; });
  }
  streams_.erase(client);
}

void Ledger::Observe(const core::Engine& engine, ClientId client, TimePoint now) {
  const auto record = streams_.find(client);
  const auto stream = engine.streams().find(client);
  if (record != streams_.end() && stream != engine.streams().end()) {
    const std::uint64_t done = stream->second.counters.done;
    if (done > record->second.done_seen) {
      record->second.done.Add(now, static_cast<std::int64_t>(done - record->second.done_seen));
      record->second.done_seen = done;
    }
  }
  const auto devices = engine.devices();
  for (std::size_t i = 0; i < busy_.size() && i < devices.size(); ++i) {
    busy_[i].Take(devices[i].busy_time, now);
  }
}

void Ledger::Busy::Take(Duration busy_time, TimePoint now) {
  const Duration gained = busy_time - seen;
  if (gained <= Duration{0}) return;
  // Between two steps of the engine a device is busy all the time, or not at all.
  window.AddOver(now - gained, now, gained.count());
  seen = busy_time;
}

double Ledger::BusyPerSecond(const core::Engine& engine, std::size_t device, TimePoint now,
                             Duration window) const {
  Busy busy = busy_[device];
  busy.Take(engine.TimesAt(DeviceId{static_cast<std::uint32_t>(device)}, now).busy, now);
  return busy.window.PerSecond(now, window);
}

const StreamRecord* Ledger::Find(ClientId client) const {
  const auto it = streams_.find(client);
  return it == streams_.end() ? nullptr : &it->second;
}

StreamRecord* Ledger::Find(ClientId client) {
  const auto it = streams_.find(client);
  return it == streams_.end() ? nullptr : &it->second;
}

void Ledger::Serves(ClientId client, const std::string& socket) {
  streams_.at(client).serves = socket;
  by_socket_.emplace(socket, client);
}

const StreamRecord* Ledger::FindExecutor(const std::string& socket) const {
  const auto it = by_socket_.lower_bound(socket);  // of equals the first that came
  return it == by_socket_.end() || it->first != socket ? nullptr : Find(it->second);
}

std::map<ClientId, std::string> Ledger::Names() const {
  std::map<ClientId, std::string> names(gone_.begin(), gone_.end());
  for (const auto& [client, record] : streams_) names[client] = record.name;
  return names;
}

const StreamRecord* Ledger::FindPid(pid_t pid) const {
  for (const auto& [client, record] : streams_) {
    if (record.pid == pid) return &record;
  }
  return nullptr;
}

std::optional<ClientId> Ledger::Named(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? std::nullopt : std::optional(it->second);
}

void AddCounters(core::StreamCounters* sum, const core::StreamCounters& more) {
  for (const core::StreamCounter& counter : core::kStreamCounters) {
    sum->*counter.value += more.*counter.value;
  }
}

}  // namespace stagger::daemon
