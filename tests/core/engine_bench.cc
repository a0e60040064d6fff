// How many steps the engine takes per second: N streams, each asking, waiting and releasing in
// turn.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "core/engine.h"

namespace stagger::core {
namespace {

// One client after another asks; the first that was granted releases. All N are always there, about
// half of them waiting.
void AskAndRelease(benchmark::State& state, const char* policy, std::vector<std::uint16_t> cores,
                   int k) {
  const auto streams = static_cast<std::uint64_t>(state.range(0));
  EngineConfig config;
  config.devices = {{"device", std::move(cores)}};
  config.policy = {policy, k};
  Engine engine = std::move(Engine::Create(config)).value();
  TimePoint now{};
  std::vector<Action> actions;
  for (std::uint64_t i = 0; i < streams; ++i) engine.Step(ClientJoined{{i}, {}}, now, &actions);

  std::vector<std::uint64_t> seq(streams, 0);
  std::vector<std::uint64_t> granted(streams * 2);  // a ring of those that run
  std::size_t first = 0, last = 0;
  std::uint64_t next = 0;
  const auto step = [&](const Event& event) {
    actions.clear();
    engine.Step(event, now, &actions);
    for (const Action& action : actions) {
      if (const auto* grant = std::get_if<Grant>(&action)) {
        granted[last++ % granted.size()] = grant->client.value;
      }
    }
    benchmark::DoNotOptimize(engine.NextDeadline());
  };
  const auto ask = [&] {
    const std::uint64_t client = next++ % streams;
    step(TurnRequested{{client}, {++seq[client]}, {}, {}, true});
  };
  for (std::uint64_t i = 0; i < streams / 2; ++i) ask();
  for (auto _ : state) {
    ask();
    now = now + std::chrono::microseconds{900 + next % 200};
    const std::uint64_t done = granted[first++ % granted.size()];
    const Duration body = std::chrono::microseconds{900 + next % 200};
    step(TurnReleased{{done}, {seq[done]}, body, {}, body});
  }
  state.SetItemsProcessed(state.iterations() * 2);
  state.counters["invalid"] = static_cast<double>(engine.invalid_events());
}

BENCHMARK_CAPTURE(AskAndRelease, gpu, "fifo", {}, 1)->Arg(2)->Arg(32)->Arg(256);
BENCHMARK_CAPTURE(AskAndRelease, cpu4, "fifo", {0, 1, 2, 3}, 2)->Arg(32);
BENCHMARK_CAPTURE(AskAndRelease, off, "off", {}, 0)->Arg(32);

}  // namespace
}  // namespace stagger::core

BENCHMARK_MAIN();
