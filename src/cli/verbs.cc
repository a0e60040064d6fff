#include "cli/verbs.h"

#include <array>

#include "console/verb_table.h"

namespace stagger::cli {
namespace {

constexpr std::array kVerbs{
    Verb{"run", "start an app under control: stagger run --fps 10 -- CMD...", RunVerb},
    Verb{"up", "start every app of a site file, supervised", UpVerb},
    Verb{"relay", "a camera's or a file's video again, at the rate that is needed", RelayVerb},
    Verb{"status", "show streams and devices", StatusVerb},
    Verb{"why", "why a stream waits, is slowed down or is where it is: stagger why APP", WhyVerb},
    Verb{"policy", "change the order of turns, and how many bodies run at once", PolicyVerb},
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

}  // namespace

int Main(const Arguments& arguments) {
  return RunProgram(
      {"stagger", "many inference apps, one device, no frame lost", kVerbs,
       "environment: STAGGER_SOCKET (the daemon's socket), STAGGERD and STAGGER_AGENT\n"
       "  (the daemon and the agent library to use instead of those installed with stagger)\n"},
      arguments);
}

}  // namespace stagger::cli
