// Where each stream goes when its device goes, known beforehand: so that models are loaded there.
#include <algorithm>
#include <utility>

#include "placement/in_force.h"
#include "placement/keep_plan.h"

namespace stagger::placement {

Result<void> PlanInForce::On(const StandbyDue& due, TimePoint) {
  const std::uint32_t device = due.device;
  if (device >= devices_.size() || !devices_[device].here) return {};
  // As if it were gone.
  devices_[device].here = false;
  const View view = Look();
  devices_[device].here = true;
  const MadePlan made = KeepPlan(view.problem, view.current);
  // All models that are loaded on each: of those it serves, and of those it stands by for.
  std::vector<double> taken(devices_.size(), 0);
  for (const PlacedStream& stream : streams_) {
    for (const std::uint32_t on : stream.on) taken[on] += stream.need.memory_gb;
    if (std::ranges::count(stream.on, device) > 0) continue;
    for (const std::uint32_t on : stream.standby) taken[on] += stream.need.memory_gb;
  }
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    PlacedStream& stream = streams_[view.streams[i]];
    if (stream.need.kind != DeviceKind::kExecutor) continue;
    if (std::ranges::count(stream.on, device) == 0) continue;
    PlacedOn standby;
    for (const std::uint32_t on : made.plan.streams[i]) {
      const std::uint32_t to = view.devices[on];
      if (std::ranges::count(stream.on, to) > 0) continue;
      const double limit = PlanOf(devices_[to]).memory_gb;
      if (limit > 0 && taken[to] + stream.need.memory_gb > limit + kMemorySlack) continue;
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
    actions_.push_back(StandBy{stream.need.name, SocketsOf(stream.standby)});
  }
  return {};
}

}  // namespace stagger::placement
