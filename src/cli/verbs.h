// The verbs of `stagger`: each takes the words after its name and returns the exit code.
// Run once, on the main thread. A verb prints results on stdout and everything else on stderr,
// where an error is one line; no verb throws.
#pragma once

#include "console/arguments.h"
namespace stagger::cli {

int RunVerb(const Arguments& arguments);
int UpVerb(const Arguments& arguments);
int StatusVerb(const Arguments& arguments);
int WhyVerb(const Arguments& arguments);
int PolicyVerb(const Arguments& arguments);
int MoveVerb(const Arguments& arguments);
int ReplayVerb(const Arguments& arguments);
int PlanVerb(const Arguments& arguments);
int ProfileVerb(const Arguments& arguments);
int DoctorVerb(const Arguments& arguments);
int RelayVerb(const Arguments& arguments);
// These become programs of the laboratory (programs.cc).
int DemoVerb(const Arguments& arguments);
int BenchVerb(const Arguments& arguments);
int SimVerb(const Arguments& arguments);
int AdmitVerb(const Arguments& arguments);
int VgpuVerb(const Arguments& arguments);
int OverlapVerb(const Arguments& arguments);  // profile --overlap

// Picks the verb.
int Main(const Arguments& arguments);

}  // namespace stagger::cli
