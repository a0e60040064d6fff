#include "daemon/view/placement_view.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>

#include "daemon/view/values.h"

namespace stagger::daemon {
namespace {

using placement::PlacedStream;
using placement::PlanInForce;

documents::Names DeviceNames(const PlanInForce& plan, const placement::PlacedOn& on) {
  documents::Names names;
  for (const std::uint32_t device : on) names.push_back(plan.devices()[device].plan.name);
  return names;
}

documents::Place PlaceOf(const PlanInForce& plan, const PlacedStream& stream, TimePoint now) {
  return {DeviceNames(plan, stream.on),
          DeviceNames(plan, stream.standby),
          stream.reason,
          ToMs(stream.need.body),
          If(stream.growth.factor() > 1, RoundedMs(placement::NeedOf(stream).body)),
          If(stream.lowered_fps > 0, Rounded(stream.lowered_fps, 1000)),
          stream.moves,
          RoundedSeconds(now - stream.since)};
}

documents::PlacedDevice DeviceOf(const placement::PlacedDevice& device, TimePoint now) {
  const placement::PlanDevice measured = placement::PlanOf(device);
  return {device.plan.name,
          device.on,
          device.plan.speed,
          If(device.plan.memory_gb > 0, device.plan.memory_gb),
          device.here,
          If(device.slower.factor() > 1, Rounded(measured.speed, 1000)),
          If(device.shorter.factor() > 1, Rounded(measured.memory_gb, 1000)),
          OrNull(device.overfull),
          RoundedSeconds(now - device.since),
          {}};
}

// An app that uses its device itself, and is still on another one than its place.
bool RunsElsewhere(const PlanInForce& plan, const PlacedStream& placed,
                   const documents::Stream& stream) {
  return stream.device && placed.need.kind == placement::DeviceKind::kGpu &&
         std::ranges::none_of(placed.on, [&](std::uint32_t device) {
           return plan.devices()[device].on == *stream.device;
         });
}

}  // namespace

void PutPlacement(const PlanInForce& plan, TimePoint now, documents::Status* out) {
  if (plan.empty()) return;
  documents::Placement& placement = out->placement.emplace();
  for (const placement::PlacedDevice& device : plan.devices()) {
    placement.devices.push_back(DeviceOf(device, now));
  }
  std::map<std::string_view, std::size_t> index;
  for (const PlacedStream& stream : plan.streams()) {
    index.emplace(stream.need.name, index.size());
    for (const std::uint32_t device : stream.on) {
      placement.devices[device].streams.push_back(stream.need.name);
    }
    placement.streams.push_back(
        {PlaceOf(plan, stream, now), stream.need.name, stream.need.fps, false});
  }
  for (const PlanInForce::Event& event : plan.events()) {
    placement.events.push_back({RoundedSeconds(now - event.at), event.text});
  }
  for (documents::Stream& stream : out->streams) {
    const auto found = index.find(stream.name);
    if (found == index.end()) continue;
    const PlacedStream& placed = plan.streams()[found->second];
    placement.streams[found->second].runs = true;
    stream.placement = {PlaceOf(plan, placed, now), RunsElsewhere(plan, placed, stream)};
  }
}

}  // namespace stagger::daemon
