// stagger-lab: what measures, simulates and stands in for a GPU. `stagger bench`, `sim`, `admit`,
// `vgpu` and `profile --overlap` become this program.
#include <array>

#include "console/verb_table.h"
#include "lab/verbs.h"

namespace {

using stagger::cli::Verb;

constexpr std::array kVerbs{
    Verb{"admit", "stagger admit: would every body end in time", stagger::cli::AdmitVerb},
    Verb{"bench", "stagger bench: the measurements that back a claim", stagger::cli::BenchVerb},
    Verb{"overlap", "stagger profile --overlap", stagger::cli::OverlapVerb},
    Verb{"plan-latency", "p95 of a plan's streams, for stagger plan: JSON on stdin and stdout",
         stagger::cli::PlanLatencyVerb},
    Verb{"sim", "stagger sim: a scenario, simulated", stagger::cli::SimVerb},
    Verb{"vgpu", "stagger vgpu: a program on a virtual GPU", stagger::cli::VgpuVerb},
};

}  // namespace

int main(int argc, char** argv) {
  return stagger::cli::RunProgram(
      {"stagger-lab", "measurements, simulation, virtual GPUs", kVerbs, ""},
      {argv + 1, argv + argc});
}
