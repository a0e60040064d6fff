#include <fmt/core.h>

#include <cmath>

#include "base/try.h"
#include "lab/scenario/sim_legs.h"
#include "lab/sim/simulate.h"

namespace stagger::cli {
namespace {

constexpr int kMost = 10'000;

Result<int> Most(sim::Scenario scenario, std::uint64_t seed, unsigned threads) {
  const sim::StreamModel kind = scenario.streams.front();
  scenario.streams.clear();
  for (int n = 1; n <= kMost; ++n) {
    scenario.streams.push_back(kind);
    scenario.streams.back().name = fmt::format("{}-{}", kind.group, n);
    const sim::Outcome outcome = STAGGER_TRY(sim::Simulate(scenario, seed, threads));
    if (outcome.all.late + outcome.all.drops + outcome.all.skipped > 0) return n - 1;
  }
  return kMost;
}

}  // namespace

double MostStreams::ratio() const { return serial > 0 ? static_cast<double>(batched) / serial : 0; }

Result<MostStreams> FindMostStreams(const sim::Scenario& scenario, std::uint64_t seed,
                                    unsigned threads) {
  const sim::StreamModel& first = scenario.streams.front();
  for (const sim::StreamModel& stream : scenario.streams) {
    if (stream.group != first.group || !stream.executor || stream.deadline == Duration{} ||
        stream.phase != first.phase) {
      return Error{
          "expected streams of one entry, on an executor, with a rate and phase_ms: random"};
    }
  }
  const int batched = STAGGER_TRY(Most(scenario, seed, threads));
  sim::Scenario serial = scenario;
  for (sim::ExecutorModel& executor : serial.executors) executor.max_batch = 1;
  return MostStreams{STAGGER_TRY(Most(serial, seed, threads)), batched};
}

sim::Scenario SsdCameras(double fps) {
  sim::Scenario scenario;
  scenario.length = std::chrono::seconds{30};
  scenario.draws = 10;
  scenario.policy = {.name = "edf", .concurrency = 1};
  scenario.jitter = 0.01;
  scenario.deadline_from = sim::DeadlineFrom::kArrival;
  scenario.queue = sim::Queue::kLatest;
  scenario.devices.push_back({.name = "gpu0"});
  sim::ExecutorModel executor{.name = "ssd", .device = 0, .max_batch = 8, .curve = {}};
  for (const auto& [items, rate] : {std::pair(1, 97.0), {2, 134.0}, {4, 163.0}, {8, 174.0}}) {
    executor.curve.emplace_back(items, FromMs(1000 * items / rate));
  }
  sim::StreamModel camera;
  camera.name = camera.group = "cam";
  camera.period = Duration{std::llround(1e9 / fps)};
  camera.deadline = camera.period;
  camera.body = executor.curve.front().second;
  camera.executor = 0;
  scenario.executors.push_back(std::move(executor));
  scenario.streams.push_back(camera);
  return scenario;
}

}  // namespace stagger::cli
