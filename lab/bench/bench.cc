// stagger bench: picks the bench.
#include "lab/bench/bench.h"

#include <fmt/core.h>

#include "console/arguments.h"
#include "lab/verbs.h"

namespace stagger::cli {

int BenchVerb(const Arguments& arguments) {
  constexpr const char* kKnown = "cpu, gate, hooks, placement, rates, share, split, t4";
  if (arguments.empty()) {
    PrintError(fmt::format("bench: which one? known: {}", kKnown));
    return kExitUsage;
  }
  const Arguments rest(arguments.begin() + 1, arguments.end());
  const std::string& name = arguments.front();
  if (name == "cpu") return BenchCpu(rest);
  if (name == "gate") return BenchGate(rest);
  if (name == "t4") return BenchT4(rest);
  if (name == "hooks") return BenchHooks(rest);
  if (name == "placement") return BenchPlacement(rest);
  if (name == "rates") return BenchRates(rest);
  if (name == "share") return BenchShare(rest);
  if (name == "split") return BenchSplit(rest);
  if (name == "--help" || name == "-h") {
    fmt::print(
        "usage: stagger bench NAME [options]      stagger bench NAME --help explains one\n\n");
    fmt::print("  cpu   camera apps on this machine's cores: bare, tuned by hand, controlled\n");
    fmt::print(
        "  gate  what a turn costs: grants, hand-overs, a killed holder, the daemon's CPU\n");
    fmt::print("  t4    the paper's experiment: real processes on the virtual T4, and simulated\n");
    fmt::print(
        "  hooks what the hooks cost a CUDA app: each kind of call, and a whole app alone\n");
    fmt::print("  placement  plans of random sites: devices, misses, time, cost of a change\n");
    fmt::print(
        "  rates a 30 fps camera of which 4 are needed: pass, pace and reuse, side by side\n");
    fmt::print(
        "  share apps with one model through one executor: memory, results, the way there\n");
    fmt::print("  split one app's frames over two one-core executors, beside bare processes\n");
    return kExitOk;
  }
  PrintError(fmt::format("bench: unknown bench '{}'; known: {}", name, kKnown));
  return kExitUsage;
}

}  // namespace stagger::cli
