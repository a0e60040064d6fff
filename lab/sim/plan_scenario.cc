#include "lab/sim/plan_scenario.h"

#include <algorithm>
#include <limits>

namespace stagger::sim {

Scenario ScenarioOf(const placement::PlacementProblem& problem, const placement::Plan& plan,
                    Duration length) {
  Scenario scenario;
  scenario.length = length;
  scenario.policy.name = "edf";
  scenario.policy.concurrency = 1;
  scenario.policy.elastic = false;
  scenario.deadline_from = DeadlineFrom::kArrival;
  constexpr std::size_t kUnseen = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> number(problem.devices.size(), kUnseen);
  const std::vector<placement::DeviceTasks> tasks = placement::TasksOf(problem, plan);
  for (std::size_t i = 0; i < plan.streams.size(); ++i) {
    const placement::StreamNeed& need = problem.streams[i];
    const int parts = static_cast<int>(plan.streams[i].size());
    for (const std::uint32_t device : plan.streams[i]) {
      const placement::PlanDevice& on = problem.devices[device];
      if (number[device] == kUnseen) {
        number[device] = scenario.devices.size();
        scenario.devices.push_back({.name = on.name, .memory_gb = on.memory_gb});
      }
      placement::StreamNeed scaled = need;
      scaled.post = scaled.body = Duration{};
      StreamModel stream;
      stream.pre = placement::CycleOn(scaled, on.speed);
      scaled.body = need.body + (tasks[device].swaps ? need.load : Duration{});
      stream.body = placement::CycleOn(scaled, on.speed) - stream.pre;
      scaled.post = need.post;
      stream.post = placement::CycleOn(scaled, on.speed) - stream.body - stream.pre;
      stream.name = stream.group = need.name;
      stream.device = number[device];
      if (const auto task = placement::PartOn(need, parts, on.speed)) {
        stream.period = task->period;
        stream.deadline = task->deadline + stream.pre + stream.post;
      }
      scenario.warmup = std::max(scenario.warmup, 2 * stream.period);
      scenario.streams.push_back(std::move(stream));
    }
  }
  return scenario;
}

}  // namespace stagger::sim
