// stagger up: every app of a site file, supervised.
#include "cli/arguments.h"
#include "cli/bench.h"
#include "cli/verbs.h"

namespace stagger::cli {

int UpVerb(const Arguments&) {
  PrintError("up: not there yet");
  return kExitFailed;
}

int DemoVerb(const Arguments&) {
  PrintError("demo: not there yet");
  return kExitFailed;
}

int BenchGate(const Arguments&) {
  PrintError("bench gate: not there yet");
  return kExitFailed;
}

}  // namespace stagger::cli
