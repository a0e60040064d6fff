#include "cli/verbs.h"

#include <fmt/core.h>

#include <array>
#include <exception>

#include "cli/arguments.h"

namespace stagger::cli {
namespace {

struct Verb {
  const char* name;
  const char* summary;
  int (*run)(const Arguments&);
};

constexpr std::array kVerbs{
    Verb{"run", "start an app under control: stagger run --fps 10 -- CMD...", RunVerb},
    Verb{"up", "start every app of a site file, supervised", UpVerb},
    Verb{"status", "show streams and devices", StatusVerb},
    Verb{"policy", "change who gets the next turn, and how many at once", PolicyVerb},
    Verb{"move", "send an app's inferences to other executors while it runs", MoveVerb},
    Verb{"demo", "camera apps on this machine, uncontrolled and controlled", DemoVerb},
    Verb{"bench", "the measurements that back a claim: cpu, gate, hooks, t4 ...", BenchVerb},
    Verb{"sim", "simulate a scenario with the engine that the daemon runs", SimVerb},
    Verb{"vgpu", "run a CUDA driver-API program on a virtual GPU: stagger vgpu -- CMD...",
         VgpuVerb},
    Verb{"profile", "how long the phases of an app's inferences take: stagger profile -- CMD...",
         ProfileVerb},
    Verb{"doctor", "what of an app is controlled, and what can escape: stagger doctor -- CMD...",
         DoctorVerb},
    Verb{"replay", "run what a daemon recorded through the engine again", ReplayVerb},
    Verb{"admit", "would every body end in time, and if not, what binds", AdmitVerb},
    Verb{"plan", "which device serves which stream of a site, and what would fit", PlanVerb},
};

std::string VerbNames() {
  std::string names;
  for (const Verb& verb : kVerbs) names += (names.empty() ? "" : ", ") + std::string(verb.name);
  return names;
}

void PrintHelp() {
  fmt::print("stagger: many inference apps, one device, no frame lost\n\n");
  fmt::print("usage: stagger VERB [options]      stagger VERB --help explains a verb\n\n");
  for (const Verb& verb : kVerbs) fmt::print("  {:<8} {}\n", verb.name, verb.summary);
  fmt::print("\nexit codes: 0 ok, 1 failed, 2 bad usage, 130 interrupted\n");
  fmt::print("environment: STAGGER_SOCKET (the daemon's socket), STAGGERD and STAGGER_AGENT\n");
  fmt::print(
      "  (the daemon and the agent library to use instead of those installed with stagger)\n");
}

}  // namespace

int Main(const Arguments& arguments) {
  if (arguments.empty()) {
    PrintError(fmt::format("which verb? one of {} (or --help)", VerbNames()));
    return kExitUsage;
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    PrintHelp();
    return kExitOk;
  }
  if (name == "--version") {
    fmt::print("stagger {}\n", STAGGER_VERSION);
    return kExitOk;
  }
  for (const Verb& verb : kVerbs) {
    if (name != verb.name) continue;
    // Libraries below may throw (out of memory, a broken standard stream): still one line.
    try {
      return verb.run(Arguments(arguments.begin() + 1, arguments.end()));
    } catch (const std::exception& e) {
      PrintError(e.what());
      return kExitFailed;
    }
  }
  PrintError(fmt::format("unknown verb '{}'; known: {}", name, VerbNames()));
  return kExitUsage;
}

}  // namespace stagger::cli
