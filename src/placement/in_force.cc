#include "placement/in_force.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "placement/explain.h"
#include "placement/in_force_view.h"
#include "placement/keep_plan.h"

namespace stagger::placement {

namespace {

constexpr std::size_t kMostEvents = 100;

placement::PlacedOn Sorted(placement::PlacedOn on) {
  std::ranges::sort(on);
  return on;
}

}  // namespace

const PlacedStream* PlanInForce::Find(const std::string& name) const {
  const auto found = std::ranges::find(
      streams_, name, [](const PlacedStream& each) -> const auto& { return each.need.name; });
  return found == streams_.end() ? nullptr : &*found;
}

const PlacedDevice* PlanInForce::FindDevice(const std::string& name) const {
  const auto found = std::ranges::find(
      devices_, name, [](const PlacedDevice& each) -> const auto& { return each.plan.name; });
  return found == devices_.end() ? nullptr : &*found;
}

const PlacedDevice* PlanInForce::DeviceAt(const std::string& socket) const {
  const auto found = std::ranges::find(devices_, socket, &PlacedDevice::socket);
  return found == devices_.end() || socket.empty() ? nullptr : &*found;
}

std::string PlanInForce::PlaceOf(const PlacedStream& stream) const {
  std::string text;
  for (const std::uint32_t device : stream.on) {
    text += (text.empty() ? "" : ", ") + devices_[device].plan.name;
  }
  return text.empty() ? "no device" : text;
}

PlanInForce::Changed PlanInForce::Settle(const std::string& cause, TimePoint now) {
  const View view = Look();
  const placement::MadePlan made = placement::KeepPlan(view.problem, view.current);
  const placement::Explainer explainer(view.problem, made.plan);
  Changed changed;
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    PlacedStream& stream = streams_[view.streams[i]];
    placement::PlacedOn on;
    for (const std::uint32_t device : made.plan.streams[i]) on.push_back(view.devices[device]);
    const bool fresh = stream.reason.empty();
    if (!fresh && Sorted(on) == Sorted(stream.on)) continue;
    const std::string from = PlaceOf(stream);
    stream.on = std::move(on);
    stream.standby.clear();
    stream.since = now;
    stream.reason = explainer.Reason(i);
    stream.change = ++changes_;
    changed.push_back(stream.need.name);
    if (fresh) continue;
    ++stream.moves;
    stream.reason = fmt::format("moved from {}: {}; {}", from, cause, stream.reason);
    Note(fmt::format("{} moves from {} to {}: {}", stream.need.name, from, PlaceOf(stream), cause),
         now);
  }
  return changed;
}

Result<PlanInForce::Changed> PlanInForce::Add(std::vector<PlacedDevice> devices,
                                              std::vector<PlacedStream> streams, bool partial,
                                              TimePoint now) {
  std::set<std::string> names;
  for (const PlacedDevice& device : devices) {
    const PlacedDevice* known = FindDevice(device.plan.name);
    if (known != nullptr) {
      return Error{fmt::format("device '{}' is there already, of pid {}; expected another name",
                               device.plan.name, known->owner)};
    }
  }
  for (const PlacedStream& stream : streams) {
    const PlacedStream* known = Find(stream.need.name);
    if (known == nullptr && names.insert(stream.need.name).second) continue;
    return Error{fmt::format("stream '{}' has a place already{}; expected another name",
                             stream.need.name,
                             known != nullptr ? fmt::format(", of pid {}", known->owner) : "")};
  }
  PlanInForce before = *this;
  for (PlacedDevice& device : devices) {
    device.since = now;
    devices_.push_back(std::move(device));
  }
  const std::string first = streams.empty() ? "" : streams.front().need.name;
  const std::size_t count = streams.size();
  for (PlacedStream& stream : streams) {
    stream.since = now;
    streams_.push_back(std::move(stream));
  }
  Changed changed =
      Settle(count == 1 ? first + " joined" : fmt::format("{} streams joined", count), now);
  if (partial) return changed;
  for (std::size_t i = before.streams_.size(); i < streams_.size(); ++i) {
    if (!streams_[i].on.empty()) continue;
    Error error{streams_[i].need.name + " " + streams_[i].reason};
    *this = std::move(before);
    return error;
  }
  return changed;
}

PlanInForce::Changed PlanInForce::Remove(const std::vector<std::string>& streams, TimePoint now) {
  const std::set<std::string> names(streams.begin(), streams.end());
  const std::size_t left = std::erase_if(
      streams_, [&](const PlacedStream& stream) { return names.contains(stream.need.name); });
  if (left == 0) return {};
  return Settle(left == 1 ? *names.begin() + " left" : fmt::format("{} streams left", left), now);
}

PlanInForce::Changed PlanInForce::RemoveOwner(pid_t owner, TimePoint now) {
  std::vector<std::string> names;
  for (const PlacedStream& stream : streams_) {
    if (stream.owner == owner) names.push_back(stream.need.name);
  }
  std::erase_if(streams_, [&](const PlacedStream& stream) { return stream.owner == owner; });
  for (PlacedDevice& device : devices_) {
    if (device.owner == owner) device.here = false;
  }
  Changed changed = Settle(fmt::format("pid {} left", owner), now);
  DropDevices(owner);
  return changed;
}

// Nobody is on them any more: others' streams have just been moved away.
void PlanInForce::DropDevices(pid_t owner) {
  std::vector<std::optional<std::uint32_t>> number;
  std::uint32_t next = 0;
  for (const PlacedDevice& device : devices_) {
    number.push_back(device.owner == owner ? std::nullopt : std::optional(next++));
  }
  const auto renumber = [&](placement::PlacedOn* on) {
    for (std::uint32_t& device : *on) {
      if (!number[device]) {
        on->clear();
        return;
      }
      device = *number[device];
    }
  };
  for (PlacedStream& stream : streams_) {
    renumber(&stream.on);
    stream.standby.clear();  // it is found anew
    renumber(&stream.home);
  }
  std::erase_if(devices_, [&](const PlacedDevice& device) { return device.owner == owner; });
}

PlanInForce::Changed PlanInForce::DeviceGone(const std::string& name, const std::string& why,
                                             TimePoint now) {
  const PlacedDevice* found = FindDevice(name);
  if (found == nullptr || !found->here) return {};
  const auto device = static_cast<std::uint32_t>(found - devices_.data());
  devices_[device].here = false;
  return Leave(device, name, why, now);
}

PlanInForce::Changed PlanInForce::ExecutorGone(const std::string& name, const std::string& why,
                                               TimePoint now) {
  const PlacedDevice* found = FindDevice(name);
  if (found == nullptr || !found->shared_with_executor()) return DeviceGone(name, why, now);
  if (found->plan.kind == placement::DeviceKind::kGpu) return {};
  const auto device = static_cast<std::uint32_t>(found - devices_.data());
  devices_[device].plan.kind = placement::DeviceKind::kGpu;
  if (!found->here) return {};
  return Leave(device, "the executor on " + name, why, now);
}

PlanInForce::Changed PlanInForce::Leave(std::uint32_t device, const std::string& what,
                                        const std::string& why, TimePoint now) {
  PlacedDevice& left = devices_[device];
  left.since = now;
  // Its successor is measured anew.
  left.slower = left.shorter = {};
  left.overfull.clear();
  Note(fmt::format("{} is gone: {}", what, why), now);
  for (PlacedStream& stream : streams_) {
    if (left.here && placement::Suits(stream.need.kind, left.plan.kind)) continue;
    if (stream.home.empty() && std::ranges::count(stream.on, device) > 0) stream.home = stream.on;
  }
  return Settle(fmt::format("{} is gone ({})", what, why), now);
}

// Those that had to leave it, if all of them fit as things stand.
void PlanInForce::GoHome(std::uint32_t device) {
  View view = Look();
  std::vector<std::optional<std::uint32_t>> number(devices_.size());
  for (std::uint32_t i = 0; i < view.devices.size(); ++i) number[view.devices[i]] = i;
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    const PlacedStream& stream = streams_[view.streams[i]];
    const bool can =
        std::ranges::count(stream.home, device) > 0 && !stream.stays_where_it_runs() &&
        std::ranges::all_of(stream.home, [&](std::uint32_t d) {
          return number[d] && placement::Suits(stream.need.kind, devices_[d].plan.kind);
        });
    if (!can) continue;
    view.current.streams[i].clear();
    for (const std::uint32_t d : stream.home) view.current.streams[i].push_back(*number[d]);
  }
  if (placement::FaultOf(view.problem, view.current)) return;
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    PlacedStream& stream = streams_[view.streams[i]];
    placement::PlacedOn on;
    for (const std::uint32_t d : view.current.streams[i]) on.push_back(view.devices[d]);
    if (Sorted(on) == Sorted(stream.home)) stream.home.clear();
    stream.on = std::move(on);
  }
}

PlanInForce::Changed PlanInForce::DeviceBack(const std::string& name, TimePoint now) {
  const PlacedDevice* found = FindDevice(name);
  if (found == nullptr || found->here) return {};
  const auto device = static_cast<std::uint32_t>(found - devices_.data());
  devices_[device].here = true;
  return Return(device, name, now);
}

PlanInForce::Changed PlanInForce::ExecutorBack(const std::string& name, TimePoint now) {
  const PlacedDevice* found = FindDevice(name);
  if (found == nullptr || !found->shared_with_executor()) return DeviceBack(name, now);
  if (found->plan.kind == placement::DeviceKind::kAny) return {};
  const auto device = static_cast<std::uint32_t>(found - devices_.data());
  devices_[device].plan.kind = placement::DeviceKind::kAny;
  if (!found->here) return {};
  return Return(device, "the executor on " + name, now);
}

PlanInForce::Changed PlanInForce::Return(std::uint32_t device, const std::string& what,
                                         TimePoint now) {
  devices_[device].since = now;
  Note(what + " is here again", now);
  std::vector<placement::PlacedOn> before;
  for (const PlacedStream& stream : streams_) before.push_back(stream.on);
  GoHome(device);
  Changed changed;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    PlacedStream& stream = streams_[i];
    if (Sorted(before[i]) == Sorted(stream.on)) continue;
    ++stream.moves;
    stream.change = ++changes_;
    stream.since = now;
    stream.standby.clear();
    stream.reason = fmt::format("moved back: {} is here again", what);
    Note(fmt::format("{} moves back to {}: {} is here again", stream.need.name, PlaceOf(stream),
                     what),
         now);
    changed.push_back(stream.need.name);
  }
  for (std::string& also : Settle(what + " is here again", now)) {
    if (std::ranges::count(changed, also) == 0) changed.push_back(std::move(also));
  }
  return changed;
}

void PlanInForce::Note(std::string text, TimePoint now) {
  events_.push_back({now, std::move(text)});
  ++noted_;
  if (events_.size() > kMostEvents) events_.pop_front();
}

}  // namespace stagger::placement
