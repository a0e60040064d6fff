// What `concurrency: auto` is worth: for each scenario, from the cold start, what it did against
// the best fixed limit and against no limit at all, over many seeds.
//   auto_study SEEDS SCENARIO.yaml...
// Exit code 1 if a claim does not hold: at least 0.97 of the best fixed limit; at least 0.985 of
// uncontrolled where that is best; never behind uncontrolled by more than 6 % in all that was done
// up to any second after the 20th.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "lab/scenario/scenario_file.h"
#include "lab/sim/simulate.h"

namespace stagger {
namespace {

constexpr int kLimits[] = {1, 2, 3, 4, 6, 8};
constexpr std::size_t kFrom = 20;
constexpr int kFixedSeeds = 3;  // a fixed limit does nearly the same with any

using Series = std::vector<std::int64_t>;

Series Play(sim::Scenario scenario, std::uint64_t seed) {
  const Result<sim::Outcome> outcome = sim::Simulate(scenario, seed, 1);
  if (!outcome) {
    std::fprintf(stderr, "auto_study: %s\n", outcome.error().message.c_str());
    std::exit(2);
  }
  return outcome->done_by_second;
}

double Total(const Series& series) {
  return static_cast<double>(std::accumulate(series.begin(), series.end(), std::int64_t{0}));
}

double MeanTotal(const sim::Scenario& scenario) {
  double sum = 0;
  for (int seed = 1; seed <= kFixedSeeds; ++seed) {
    sum += Total(Play(scenario, static_cast<std::uint64_t>(seed)));
  }
  return sum / kFixedSeeds;
}

// The least share of uncontrolled that was reached at any second after the first ones.
double WorstRunning(const Series& series, const Series& uncontrolled) {
  double worst = 1e9;
  double done = 0;
  double reference = 0;
  for (std::size_t i = 0; i < std::min(series.size(), uncontrolled.size()); ++i) {
    done += static_cast<double>(series[i]);
    reference += static_cast<double>(uncontrolled[i]);
    if (i >= kFrom && reference > 0) worst = std::min(worst, done / reference);
  }
  return worst;
}

bool Study(const std::string& path, int seeds) {
  const Result<sim::Scenario> read = cli::ReadScenario(path);
  if (!read) {
    std::fprintf(stderr, "auto_study: %s\n", read.error().message.c_str());
    std::exit(2);
  }
  sim::Scenario fixed = *read;
  fixed.policy.auto_concurrency = false;
  double best = 0;
  int best_limit = 0;
  for (const int limit : kLimits) {
    fixed.policy.concurrency = limit;
    if (const double total = MeanTotal(fixed); total > best) {
      best = total;
      best_limit = limit;
    }
  }
  sim::Scenario off = *read;
  off.policy = {.name = "off"};
  const double uncontrolled = MeanTotal(off);
  const bool uncontrolled_best = uncontrolled >= best;
  best = std::max(best, uncontrolled);

  sim::Scenario automatic = *read;
  automatic.policy.auto_concurrency = true;
  double sum = 0;
  double least = 1e9;
  double worst = 1e9;
  for (int seed = 1; seed <= seeds; ++seed) {
    const Series done = Play(automatic, static_cast<std::uint64_t>(seed));
    const Series reference = Play(off, static_cast<std::uint64_t>(seed));
    sum += Total(done) / best;
    least = std::min(least, Total(done) / best);
    worst = std::min(worst, WorstRunning(done, reference));
  }
  const double of_best = sum / seeds;
  const bool good = of_best >= (uncontrolled_best ? 0.985 : 0.97) && worst >= 0.94;
  const double seconds = ToMs(read->length) / 1000;
  std::printf("%-38s %5d %12.1f %9.1f %5s %8.4f %8.4f %9.3f  %s\n",
              path.substr(path.rfind('/') + 1).c_str(), seeds, uncontrolled / seconds,
              best / seconds, uncontrolled_best ? "none" : std::to_string(best_limit).c_str(),
              of_best, least, worst, good ? "pass" : "FAIL");
  std::fflush(stdout);
  return good;
}

}  // namespace
}  // namespace stagger

int main(int argc, char** argv) {
  const int seeds = argc > 2 ? std::atoi(argv[1]) : 0;
  if (seeds < 1) {
    std::fprintf(stderr, "usage: auto_study SEEDS SCENARIO.yaml...\n");
    return 2;
  }
  std::printf("%-38s %5s %12s %9s %5s %8s %8s %9s\n", "scenario", "seeds", "uncontrolled",
              "best fps", "k", "of best", "least", "running");
  bool good = true;
  for (int i = 2; i < argc; ++i) good &= stagger::Study(argv[i], seeds);
  return good ? 0 : 1;
}
