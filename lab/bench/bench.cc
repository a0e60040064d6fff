// stagger bench: picks the bench.
#include "lab/bench/bench.h"

#include <fmt/core.h>

#include <algorithm>

#include "console/arguments.h"
#include "lab/verbs.h"

namespace stagger::cli {
namespace {

struct Bench {
  std::string_view name;
  int (*run)(const Arguments&);
  const char* what;
};
constexpr Bench kBenches[] = {
    {"cpu", BenchCpu, "camera apps on this machine's cores: bare, tuned by hand, controlled"},
    {"gate", BenchGate, "what a turn costs: grants, hand-overs, a killed holder, the daemon's CPU"},
    {"hooks", BenchHooks,
     "what the hooks cost a CUDA app: each kind of call, and a whole app alone"},
    {"placement", BenchPlacement, "plans of random sites: devices, misses, time, cost of a change"},
    {"rates", BenchRates,
     "a 30 fps camera of which 4 are needed: pass, pace and reuse, side by side"},
    {"share", BenchShare,
     "apps with one model through one executor: memory, results, the way there"},
    {"split", BenchSplit, "one app's frames over two one-core executors, beside bare processes"},
    {"t4", BenchT4, "the paper's experiment: real processes on the virtual T4, and simulated"},
};

}  // namespace

int BenchVerb(const Arguments& arguments) {
  const std::string name = arguments.empty() ? "" : arguments.front();
  const auto* bench = std::ranges::find(kBenches, name, &Bench::name);
  if (bench != std::end(kBenches)) return bench->run({arguments.begin() + 1, arguments.end()});
  if (name == "--help" || name == "-h") {
    fmt::print(
        "usage: stagger bench NAME [options]      stagger bench NAME --help explains one\n\n");
    for (const Bench& each : kBenches) fmt::print("  {:<9}  {}\n", each.name, each.what);
    return kExitOk;
  }
  std::string known;
  for (const Bench& each : kBenches) known.append(known.empty() ? "" : ", ").append(each.name);
  PrintError(arguments.empty() ? fmt::format("bench: which one? known: {}", known)
                               : fmt::format("bench: unknown bench '{}'; known: {}", name, known));
  return kExitUsage;
}

}  // namespace stagger::cli
