// The verbs of `stagger-lab`: each takes the words after its name and returns the exit code. Users
// type `stagger VERB`, which becomes `stagger-lab VERB`; `stagger plan` runs plan-latency. Main
// thread, once.
#pragma once

#include "console/arguments.h"

namespace stagger::cli {

int AdmitVerb(const Arguments& arguments);
int BenchVerb(const Arguments& arguments);
int OverlapVerb(const Arguments& arguments);
int PlanLatencyVerb(const Arguments& arguments);
int SimVerb(const Arguments& arguments);
int VgpuVerb(const Arguments& arguments);

}  // namespace stagger::cli
