// How a program of ours is told to stop: by a descriptor in its loop, not in a handler.
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace stagger {

// Before any thread starts. Readable (signalfd_siginfo) after SIGINT, SIGTERM or SIGHUP, which no
// longer end the process; nor do SIGPIPE and SIGXFSZ: a reader that is gone and a limit on file
// sizes are errors to report.
Result<UniqueFd> TakeStopSignals();

}  // namespace stagger
