// How long the admission test takes: sets of n streams at a given load.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "admission/admission.h"

namespace stagger::admission {
namespace {

std::vector<Task> Set(std::mt19937_64& random, int n, double load) {
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<Task> tasks;
  std::vector<double> shares;
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += shares.emplace_back(0.1 + unit(random));
  for (int i = 0; i < n; ++i) {
    const Duration period = FromMs(33 + 967 * unit(random));
    const double share = shares[static_cast<std::size_t>(i)] / sum * load;
    const Duration body =
        std::max(Duration{1},
                 Duration{static_cast<Duration::rep>(static_cast<double>(period.count()) * share)});
    tasks.push_back({period, body, period, {}});
  }
  return tasks;
}

void Admit(benchmark::State& state) {
  std::mt19937_64 random(1);
  std::vector<std::vector<Task>> sets;
  for (int i = 0; i < 200; ++i) {
    sets.push_back(
        Set(random, static_cast<int>(state.range(0)), static_cast<double>(state.range(1)) / 100));
  }
  std::vector<double> us;
  std::size_t next = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(stagger::admission::Admit(sets[next++ % sets.size()]));
    us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
                     .count());
  }
  std::ranges::sort(us);
  state.counters["median_us"] = us[us.size() / 2];
  state.counters["max_us"] = us.back();
}
BENCHMARK(Admit)->ArgNames({"n", "load"})->ArgsProduct({{8, 32, 100, 1000}, {70, 90, 95}});

}  // namespace
}  // namespace stagger::admission

BENCHMARK_MAIN();
