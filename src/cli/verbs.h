// The verbs of `stagger`: each takes the words after its name and returns the exit code.
// Run once, on the main thread. A verb prints results on stdout and everything else on stderr,
// where an error is one line; no verb throws.
#pragma once

#include "console/arguments.h"

namespace stagger::cli {

#define STAGGER_VERB(name, Function, says) int Function(const Arguments& arguments);
#include "cli/verbs.inc"
#undef STAGGER_VERB
int OverlapVerb(const Arguments& arguments);  // profile --overlap

// Picks the verb.
int Main(const Arguments& arguments);

}  // namespace stagger::cli
