#include "placement/model.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace stagger::placement {
namespace {

using Ns = Duration::rep;

// A quotient that is whole but for rounding counts as whole.
Duration Up(double ns) { return Duration{static_cast<Ns>(std::ceil(ns - 1e-3))}; }
Duration Scaled(Duration time, double speed) {
  return Up(static_cast<double>(time.count()) / speed);
}

bool HasMemory(const PlanDevice& device, const DeviceTasks& serves) {
  return device.memory_gb == 0 || serves.swaps ||
         serves.memory_gb <= device.memory_gb + kMemorySlack;
}

}  // namespace

Duration CycleOn(const StreamNeed& need, double speed) {
  return Scaled(need.pre, speed) + Scaled(need.body, speed) + Scaled(need.post, speed);
}

int PartsOn(const StreamNeed& need, double speed) {
  const double periods = static_cast<double>(CycleOn(need, speed).count()) * need.fps / 1e9;
  return std::max(1, static_cast<int>(std::ceil(periods - 1e-7)));
}

bool MaySwap(const StreamNeed& need, DeviceKind device) {
  return need.load > Duration{} && need.kind != DeviceKind::kGpu && device != DeviceKind::kGpu;
}

std::optional<admission::Task> PartOn(const StreamNeed& need, int parts, double speed,
                                      bool loading) {
  admission::Task task;
  task.period = Duration{static_cast<Ns>(std::floor(1e9 * parts / need.fps + 1e-3))};
  task.body = Scaled(loading ? need.load + need.body : need.body, speed);
  const Duration due =
      need.deadline > Duration{} ? std::min(need.deadline, task.period) : task.period;
  task.deadline = due - Scaled(need.pre, speed) - Scaled(need.post, speed);
  if (task.deadline < task.body) return std::nullopt;
  return task;
}

std::vector<DeviceTasks> TasksOf(const PlacementProblem& problem, const Plan& plan) {
  std::vector<DeviceTasks> devices(problem.devices.size());
  std::vector<bool> may_swap(devices.size(), true);
  for (std::uint32_t stream = 0; stream < plan.streams.size(); ++stream) {
    const StreamNeed& need = problem.streams[stream];
    for (const std::uint32_t device : plan.streams[stream]) {
      const PlanDevice& on = problem.devices[device];
      devices[device].memory_gb += need.memory_gb;
      if (!MaySwap(need, on.kind) || need.memory_gb > on.memory_gb + kMemorySlack) {
        may_swap[device] = false;
      }
    }
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const double memory = problem.devices[i].memory_gb;
    devices[i].swaps = memory > 0 && devices[i].memory_gb > memory + kMemorySlack && may_swap[i];
  }
  for (std::uint32_t stream = 0; stream < plan.streams.size(); ++stream) {
    const PlacedOn& on = plan.streams[stream];
    const StreamNeed& need = problem.streams[stream];
    for (const std::uint32_t device : on) {
      const std::optional<admission::Task> task = PartOn(
          need, static_cast<int>(on.size()), problem.devices[device].speed, devices[device].swaps);
      // One that is late by itself is shown to the test as it is: due before it can be done.
      devices[device].tasks.push_back(
          task ? *task : admission::Task{Duration{1}, Duration{2}, Duration{1}});
      devices[device].streams.push_back(stream);
    }
  }
  return devices;
}

std::optional<std::string> FaultOf(const PlacementProblem& problem, const Plan& plan) {
  if (plan.streams.size() != problem.streams.size()) return "the plan is of other streams";
  for (std::size_t i = 0; i < plan.streams.size(); ++i) {
    const PlacedOn& on = plan.streams[i];
    const std::string& name = problem.streams[i].name;
    if (std::set<std::uint32_t>(on.begin(), on.end()).size() != on.size()) {
      return name + ": two parts on one device";
    }
    if (!MaySplit(problem.streams[i], static_cast<int>(on.size()))) {
      return name + ": in more parts than it can be";
    }
    for (const std::uint32_t device : on) {
      if (device >= problem.devices.size()) return name + ": on a device that is not there";
      const PlanDevice& served = problem.devices[device];
      if (!Suits(problem.streams[i].kind, served.kind)) {
        return name + ": on " + served.name + ", which is of another kind";
      }
      if (!PartOn(problem.streams[i], static_cast<int>(on.size()), served.speed)) {
        return name + ": cannot keep its rate on " + served.name;
      }
    }
  }
  const std::vector<DeviceTasks> devices = TasksOf(problem, plan);
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const PlanDevice& device = problem.devices[i];
    if (!HasMemory(device, devices[i])) return device.name + ": more than its memory";
    if (!admission::Admit(devices[i].tasks).admitted)
      return device.name + ": fails the admission test";
  }
  return std::nullopt;
}

bool Passes(const PlanDevice& device, const DeviceTasks& serves) {
  return HasMemory(device, serves) && admission::Admit(serves.tasks).admitted;
}

std::size_t DevicesUsed(const Plan& plan) {
  std::set<std::uint32_t> used;
  for (const PlacedOn& on : plan.streams) used.insert(on.begin(), on.end());
  return used.size();
}

std::size_t StreamsPlaced(const Plan& plan) {
  return static_cast<std::size_t>(
      std::ranges::count_if(plan.streams, [](const PlacedOn& on) { return !on.empty(); }));
}

}  // namespace stagger::placement
