// What the streams of a running engine ask of a device, as the admission test takes it. Pure.
#pragma once

#include <vector>

#include "admission/fit.h"
#include "core/engine.h"

namespace stagger::admission {

// Bodies that must have been seen before a stream's load is judged.
inline constexpr std::uint32_t kProfiled = 32;

struct DeviceLoad {
  std::vector<NamedTask> tasks;
  std::vector<ClientId> clients;  // one per task, in order of joining
};

// The streams that state a rate, serve at `device` and have been seen often enough. A body counts
// with its p99 and with the hand-off around it, and is due its frame's deadline less the mean of
// what follows it. Where k bodies run at once the device counts as one that is k times as fast:
// exact for k = 1, an estimate beyond. Where occupancies are limited a body counts with its
// occupancy.
DeviceLoad LoadOf(const core::Engine& engine, DeviceId device);

}  // namespace stagger::admission
