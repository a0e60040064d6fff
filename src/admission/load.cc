#include "admission/load.h"

#include <algorithm>
#include <cmath>

namespace stagger::admission {

DeviceLoad LoadOf(const core::Engine& engine, DeviceId id) {
  DeviceLoad load;
  const bool by_occupancy = engine.policy().demand_limit > 0;
  const int k = by_occupancy ? 1 : engine.devices()[id.value].concurrency;
  for (const auto& [client, stream] : engine.streams()) {
    const double fps = stream.spec.required_fps;
    if (stream.last_device != id || !(fps > 0) || stream.occupied_samples < kProfiled) continue;
    const Duration handoff = std::max(stream.occupied - stream.body.mean(), Duration{});
    const Duration body = stream.body.Quantile(0.99) + handoff;
    Task task;
    task.period = Duration{static_cast<Duration::rep>(1e9 / fps)};
    const double share = (by_occupancy ? stream.occupancy.value() : 1) / k;
    task.body =
        std::max(Duration{std::llround(static_cast<double>(body.count()) * share)}, Duration{1});
    task.deadline =
        std::max(stream.spec.deadline - stream.post.mean() - (body - task.body), Duration{});
    const bool follows = std::chrono::abs(stream.spec.deadline - task.period) < FromMs(0.01);
    load.tasks.push_back({stream.spec.name, task, follows});
    load.clients.push_back(client);
  }
  return load;
}

}  // namespace stagger::admission
