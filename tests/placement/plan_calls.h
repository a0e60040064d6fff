// A plan in force with a call for each event, which says whose place is another then.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "placement/in_force.h"

namespace stagger::placement {

class PlanCalls : public PlanInForce {
 public:
  using Changed = std::vector<std::string>;  // streams

  Result<Changed> Add(std::vector<PlacedDevice> devices, std::vector<PlacedStream> streams,
                      bool partial, TimePoint now) {
    return Do(Joined{std::move(devices), std::move(streams), {}, {}, partial}, now);
  }
  Changed Remove(std::vector<std::string> streams, TimePoint now) {
    return *Do(Left{std::move(streams)}, now);
  }
  Changed RemoveOwner(pid_t owner, TimePoint now) { return *Do(OwnerGone{owner}, now); }
  Changed DeviceGone(const std::string& name, const std::string& why, TimePoint now) {
    return *Do(Presence{name, false, false, why}, now);
  }
  Changed DeviceBack(const std::string& name, TimePoint now) {
    return *Do(Presence{name, true, false}, now);
  }
  Changed ExecutorGone(const std::string& name, const std::string& why, TimePoint now) {
    return *Do(Presence{name, false, true, why}, now);
  }
  Changed ExecutorBack(const std::string& name, TimePoint now) {
    return *Do(Presence{name, true, true}, now);
  }
  Changed Measure(const std::string& name, const DeviceMeasurements& measurements, TimePoint now) {
    return *Do(Measured{name, measurements}, now);
  }
  // Whose standby is another.
  Changed PlanStandby(std::uint32_t device, TimePoint now = {}) {
    *Do(StandbyDue{device}, now);
    Changed changed;
    for (const PlanAction& action : told_) {
      if (const auto* standby = std::get_if<StandBy>(&action)) changed.push_back(standby->stream);
    }
    return changed;
  }

  // What the latest event led to.
  const PlanActions& told() const { return told_; }

 private:
  Result<Changed> Do(const PlanEvent& event, TimePoint now) {
    const std::uint64_t before = changes();
    Result<PlanActions> actions = Step(event, now);
    if (!actions) return actions.error();
    told_ = std::move(actions).value();
    Changed changed;
    for (const PlacedStream& stream : streams()) {
      if (stream.change > before) changed.push_back(stream.need.name);
    }
    return changed;
  }

  PlanActions told_;
};

}  // namespace stagger::placement
