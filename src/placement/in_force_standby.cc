// Where each stream goes when its device goes, known beforehand: so that models are loaded there.
#include <algorithm>
#include <utility>

#include "placement/in_force.h"
#include "placement/in_force_view.h"
#include "placement/keep_plan.h"

namespace stagger::placement {

PlanInForce::Changed PlanInForce::PlanStandby(std::uint32_t device) {
  if (device >= devices_.size() || !devices_[device].here) return {};
  // As DeviceGone would have it.
  devices_[device].here = false;
  const View view = Look();
  devices_[device].here = true;
  const placement::MadePlan made = placement::KeepPlan(view.problem, view.current);
  // All models that are loaded on each: of those it serves, and of those it stands by for.
  std::vector<double> taken(devices_.size(), 0);
  for (const PlacedStream& stream : streams_) {
    for (const std::uint32_t on : stream.on) taken[on] += stream.need.memory_gb;
    if (std::ranges::count(stream.on, device) > 0) continue;
    for (const std::uint32_t on : stream.standby) taken[on] += stream.need.memory_gb;
  }
  Changed changed;
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    PlacedStream& stream = streams_[view.streams[i]];
    if (stream.need.kind != placement::DeviceKind::kExecutor) continue;
    if (std::ranges::count(stream.on, device) == 0) continue;
    placement::PlacedOn standby;
    for (const std::uint32_t on : made.plan.streams[i]) {
      const std::uint32_t to = view.devices[on];
      if (std::ranges::count(stream.on, to) > 0) continue;
      const double limit = PlanOf(devices_[to]).memory_gb;
      if (limit > 0 && taken[to] + stream.need.memory_gb > limit + placement::kMemorySlack)
        continue;
      taken[to] += stream.need.memory_gb;
      standby.push_back(to);
    }
    // One that is split is asked once per device of it: what any of them asks for stays.
    if (stream.on.size() > 1) {
      for (const std::uint32_t to : stream.standby) {
        if (std::ranges::count(standby, to) == 0 && std::ranges::count(stream.on, to) == 0) {
          standby.push_back(to);
        }
      }
    }
    if (standby == stream.standby) continue;
    stream.standby = std::move(standby);
    changed.push_back(stream.need.name);
  }
  return changed;
}

}  // namespace stagger::placement
