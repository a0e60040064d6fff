#include "placement/in_force.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "placement/explain.h"
#include "placement/keep_plan.h"

namespace stagger::placement {

namespace {

constexpr std::size_t kMostEvents = 100;

const std::string& NameOf(const PlacedStream& stream) { return stream.need.name; }
const std::string& NameOf(const PlacedDevice& device) { return device.plan.name; }

template <typename Placed>
const Placed* FindIn(const std::vector<Placed>& all, const std::string& name) {
  const auto found = std::ranges::find(
      all, name, [](const Placed& each) -> const auto& { return NameOf(each); });
  return found == all.end() ? nullptr : &*found;
}

bool SamePlace(PlacedOn a, PlacedOn b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

}  // namespace

const PlacedStream* PlanInForce::Find(const std::string& name) const {
  return FindIn(streams_, name);
}

const PlacedDevice* PlanInForce::FindDevice(const std::string& name) const {
  return FindIn(devices_, name);
}

const PlacedDevice* PlanInForce::DeviceAt(const std::string& socket) const {
  const auto found = std::ranges::find(devices_, socket, &PlacedDevice::socket);
  return found == devices_.end() || socket.empty() ? nullptr : &*found;
}

std::string PlanInForce::DeviceNamesOf(const PlacedStream& stream) const {
  std::string text;
  for (const std::uint32_t device : stream.on) {
    text += (text.empty() ? "" : ", ") + devices_[device].plan.name;
  }
  return text.empty() ? "no device" : text;
}

Result<PlanActions> PlanInForce::Step(const PlanEvent& event, TimePoint now) {
  actions_.clear();
  const std::uint64_t before = changes_;
  const auto taken = std::visit([&](const auto& each) { return On(each, now); }, event);
  if (!taken) return taken.error();
  for (const PlacedStream& stream : streams_) {
    if (stream.change > before) TellPlace(stream);
  }
  return std::exchange(actions_, {});
}

void PlanInForce::TellPlace(const PlacedStream& stream) {
  if (stream.need.kind == DeviceKind::kExecutor) {
    actions_.push_back(AssignTo{stream.need.name, SocketsOf(stream.on), stream.reason});
  } else {
    actions_.push_back(Report{fmt::format("stream '{}' is on {} from its next start on: {}",
                                          stream.need.name, DeviceNamesOf(stream), stream.reason),
                              false});
  }
  if (!stream.on.empty()) return;
  actions_.push_back(
      Report{fmt::format("stream '{}' has no device: {}", stream.need.name, stream.reason)});
}

std::vector<std::string> PlanInForce::SocketsOf(const PlacedOn& on) const {
  std::vector<std::string> sockets;
  for (const std::uint32_t device : on) sockets.push_back(devices_[device].socket);
  return sockets;
}

void PlanInForce::Follow(const View& view, const Plan& plan, const std::string& cause,
                         TimePoint now) {
  const Explainer explainer(view.problem, plan);
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    PlacedStream& stream = streams_[view.streams[i]];
    PlacedOn on;
    for (const std::uint32_t device : plan.streams[i]) on.push_back(view.devices[device]);
    const bool fresh = stream.reason.empty();
    if (!fresh && SamePlace(on, stream.on)) continue;
    const std::string from = DeviceNamesOf(stream);
    stream.on = std::move(on);
    stream.standby.clear();
    stream.since = now;
    stream.change = ++changes_;
    stream.reason = explainer.Reason(i);
    if (fresh) continue;
    ++stream.moves;
    stream.reason = fmt::format("moved from {}: {}; {}", from, cause, stream.reason);
    Note(fmt::format("{} moves from {} to {}: {}", stream.need.name, from, DeviceNamesOf(stream),
                     cause),
         now);
  }
}

void PlanInForce::PlaceUnplaced(const std::string& cause, TimePoint now) {
  actions_.push_back(PlanAhead{});
  const View view = Look();
  Follow(view, KeepPlan(view.problem, view.current).plan, cause, now);
}

std::optional<DeviceKind> PlanInForce::OnlyKind() const {
  // A GPU with an executor takes both kinds.
  const bool same = !devices_.empty() &&
                    std::ranges::none_of(devices_, &PlacedDevice::shared_with_executor) &&
                    std::ranges::all_of(devices_, [&](const PlacedDevice& each) {
                      return each.plan.kind == devices_.front().plan.kind;
                    });
  return same ? std::optional(devices_.front().plan.kind) : std::nullopt;
}

Result<void> PlanInForce::Resolve(const Joined& joined, std::vector<PlacedStream>* streams) const {
  *streams = joined.streams;
  for (std::size_t i = 0; i < streams->size(); ++i) {
    PlacedStream& stream = (*streams)[i];
    StreamNeed& need = stream.need;
    for (const std::string& name :
         i < joined.places.size() ? joined.places[i] : std::vector<std::string>()) {
      const PlacedDevice* known = FindDevice(name);
      const PlacedDevice* fresh = FindIn(joined.devices, name);
      if (known == nullptr && fresh == nullptr) {
        return Error{fmt::format("stream '{}': there is no device '{}'", need.name, name)};
      }
      stream.on.push_back(static_cast<std::uint32_t>(
          known != nullptr
              ? known - devices_.data()
              : fresh - joined.devices.data() + static_cast<std::ptrdiff_t>(devices_.size())));
    }
    const std::string like = i < joined.like.size() ? joined.like[i] : "";
    if (like.empty()) {
      if (need.kind != DeviceKind::kAny) continue;
      const auto kind = OnlyKind();
      if (!kind) {
        return Error{
            fmt::format("stream '{}': the plan has executors and GPUs; expected an app that "
                        "it is like (--like)",
                        need.name)};
      }
      need.kind = *kind;
      continue;
    }
    const auto found = std::ranges::find_if(streams_, [&](const PlacedStream& each) {
      return each.need.app == like || each.need.name == like;
    });
    if (found == streams_.end()) {
      return Error{
          fmt::format("stream '{}': there is no app '{}' to be like: expected one that has "
                      "a place",
                      need.name, like)};
    }
    StreamNeed costs = found->need;
    costs.name = need.name;
    costs.fps = need.fps;
    costs.deadline = need.deadline;
    costs.most_parts = need.most_parts;
    need = std::move(costs);
  }
  return {};
}

Result<void> PlanInForce::On(const Joined& joined, TimePoint now) {
  if (joined.streams.size() + streams_.size() > kMostStreams ||
      joined.devices.size() + devices_.size() > kMostDevices) {
    return Error{
        fmt::format("place: {} streams on {} devices are the most", kMostStreams, kMostDevices)};
  }
  if (devices_.empty() && joined.devices.empty()) {
    return Error{
        "this daemon has no plan: expected a site started with 'stagger up' whose devices "
        "say what they are on"};
  }
  std::set<std::string> names;
  for (const PlacedDevice& device : joined.devices) {
    const PlacedDevice* known = FindDevice(device.plan.name);
    if (known == nullptr && names.insert(device.plan.name).second) continue;
    return Error{fmt::format("device '{}' is there already{}; expected another name",
                             device.plan.name,
                             known != nullptr ? fmt::format(", of pid {}", known->owner) : "")};
  }
  names.clear();
  for (const PlacedStream& stream : joined.streams) {
    const PlacedStream* known = Find(stream.need.name);
    if (known == nullptr && names.insert(stream.need.name).second) continue;
    return Error{fmt::format("stream '{}' has a place already{}; expected another name",
                             stream.need.name,
                             known != nullptr ? fmt::format(", of pid {}", known->owner) : "")};
  }
  std::vector<PlacedStream> streams;
  if (auto resolved = Resolve(joined, &streams); !resolved) return resolved;
  const std::string who =
      streams.size() == 1 ? streams.front().need.name : fmt::format("{} streams", streams.size());
  PlanInForce before = *this;
  for (const PlacedDevice& device : joined.devices) devices_.emplace_back(device).since = now;
  for (PlacedStream& stream : streams) streams_.emplace_back(std::move(stream)).since = now;
  PlaceUnplaced(who + " joined", now);
  if (joined.partial) return {};
  for (std::size_t i = before.streams_.size(); i < streams_.size(); ++i) {
    if (!streams_[i].on.empty()) continue;
    Error error{streams_[i].need.name + " " + streams_[i].reason};
    *this = std::move(before);
    return error;
  }
  return {};
}

void PlanInForce::Drop(const std::set<std::string>& streams) {
  std::erase_if(streams_, [&](const PlacedStream& stream) {
    const std::string& name = stream.need.name;
    if (!streams.contains(name)) return false;
    if (stream.need.kind == DeviceKind::kExecutor) actions_.push_back(AssignTo{name, std::nullopt});
    if (stream.lowered_fps > 0) actions_.push_back(CapRate{name, 0});
    return true;
  });
}

Result<void> PlanInForce::On(const Left& left, TimePoint now) {
  std::set<std::string> names(left.streams.begin(), left.streams.end());
  std::erase_if(names, [&](const std::string& name) { return Find(name) == nullptr; });
  if (names.empty()) return {};
  Drop(names);
  PlaceUnplaced(
      names.size() == 1 ? *names.begin() + " left" : fmt::format("{} streams left", names.size()),
      now);
  return {};
}

Result<void> PlanInForce::On(const OwnerGone& gone, TimePoint now) {
  std::set<std::string> names;
  for (const PlacedStream& stream : streams_) {
    if (stream.owner == gone.owner) names.insert(stream.need.name);
  }
  Drop(names);
  for (PlacedDevice& device : devices_) {
    if (device.owner == gone.owner) device.here = false;
  }
  PlaceUnplaced(fmt::format("pid {} left", gone.owner), now);
  DropDevices(gone.owner);
  return {};
}

// Nobody is on them any more: others' streams have just been moved away.
void PlanInForce::DropDevices(pid_t owner) {
  std::vector<std::optional<std::uint32_t>> number;
  std::uint32_t next = 0;
  for (const PlacedDevice& device : devices_) {
    number.push_back(device.owner == owner ? std::nullopt : std::optional(next++));
  }
  const auto renumber = [&](PlacedOn* on) {
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

Result<void> PlanInForce::On(const Presence& presence, TimePoint now) {
  const PlacedDevice* found = FindDevice(presence.device);
  // What happened before it came was of another one of that name.
  if (found == nullptr || now < found->since) return {};
  const auto index = static_cast<std::uint32_t>(found - devices_.data());
  PlacedDevice& device = devices_[index];
  std::string what = presence.device;
  if (presence.executor && device.shared_with_executor()) {
    const DeviceKind kind = presence.here ? DeviceKind::kAny : DeviceKind::kGpu;
    if (std::exchange(device.plan.kind, kind) == kind || !device.here) return {};
    what = "the executor on " + what;
  } else if (std::exchange(device.here, presence.here) == presence.here) {
    return {};
  }
  device.since = now;
  if (presence.here) {
    const std::string cause = what + " is here again";
    Note(cause, now);
    GoHome(index, cause, now);
    PlaceUnplaced(cause, now);
    return {};
  }
  // Its successor is measured anew.
  device.slower = device.shorter = {};
  device.overfull.clear();
  Note(fmt::format("{} is gone: {}", what, presence.why), now);
  for (PlacedStream& stream : streams_) {
    const bool leaves = !device.here || !Suits(stream.need.kind, device.plan.kind);
    if (!leaves || std::ranges::count(stream.on, index) == 0) continue;
    if (stream.home.empty()) stream.home = stream.on;
  }
  PlaceUnplaced(fmt::format("{} is gone ({})", what, presence.why), now);
  return {};
}

// Those that had to leave it, if all of them fit as things stand.
void PlanInForce::GoHome(std::uint32_t device, const std::string& cause, TimePoint now) {
  View view = Look();
  std::vector<std::optional<std::uint32_t>> number(devices_.size());
  for (std::uint32_t i = 0; i < view.devices.size(); ++i) number[view.devices[i]] = i;
  std::vector<std::uint32_t> going;
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    const PlacedStream& stream = streams_[view.streams[i]];
    const bool can = std::ranges::count(stream.home, device) > 0 && !stream.stays_where_it_runs() &&
                     std::ranges::all_of(stream.home, [&](std::uint32_t d) {
                       return number[d] && Suits(stream.need.kind, devices_[d].plan.kind);
                     });
    if (!can) continue;
    going.push_back(view.streams[i]);
    view.current.streams[i].clear();
    for (const std::uint32_t d : stream.home) view.current.streams[i].push_back(*number[d]);
  }
  if (FaultOf(view.problem, view.current)) return;
  for (const std::uint32_t i : going) {
    PlacedStream& stream = streams_[i];
    if (SamePlace(stream.home, stream.on)) continue;
    stream.on = stream.home;
    ++stream.moves;
    stream.change = ++changes_;
    stream.since = now;
    stream.standby.clear();
    stream.reason = "moved back: " + cause;
    Note(fmt::format("{} moves back to {}: {}", stream.need.name, DeviceNamesOf(stream), cause),
         now);
  }
  for (PlacedStream& stream : streams_) {
    if (SamePlace(stream.home, stream.on)) stream.home.clear();
  }
}

void PlanInForce::Note(std::string text, TimePoint now) {
  events_.push_back({now, std::move(text)});
  ++noted_;
  if (events_.size() > kMostEvents) events_.pop_front();
}

}  // namespace stagger::placement
