// One run of one device: its streams, the GPU model, and between them the engine that the daemon
// runs. Streams on different devices never meet, so each device has an engine of its own, and runs
// can go in parallel.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/engine.h"
#include "lab/sim/scenario.h"
#include "lab/sim/tally.h"

namespace stagger::sim {

struct DeviceResult {
  std::vector<Tally> groups;  // by index into GroupNames(scenario); without EndDraw
  // Of body time (grant to release), as the engine saw it after the warm-up: the share during which
  // more than k bodies ran.
  Duration body_time{};
  Duration over_time{};
  std::uint64_t steps = 0;                   // of the engine
  std::uint64_t batches = 0;                 // of two or more, at executors
  std::vector<std::int64_t> done_by_second;  // inferences ended, after the warm-up
};

// The names in the order in which they first appear.
std::vector<std::string> GroupNames(const Scenario& scenario);

// What the device's engine is created with.
core::EngineConfig ConfigOf(const Scenario& scenario, std::size_t device);

// Hears of each step of the engine: what it was told, when, and what it said.
using Observer = std::function<void(const core::Event&, TimePoint, std::span<const core::Action>)>;

// Error: a policy or a limit the engine refuses. The result depends on the arguments alone.
Result<DeviceResult> RunDevice(const Scenario& scenario, std::size_t device, std::uint64_t seed,
                               int draw, Observer observer = {});

}  // namespace stagger::sim
