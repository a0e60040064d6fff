// Splitting: a batch of N divides over the session's executors and comes back in order. Only for
// models whose items were found not to touch each other.
#pragma once

#include "agent/forward/call.h"

namespace stagger::agent {

struct Forwarded;

// True: done, the outputs are handed out. False: it cannot be split, or did not work out; nothing
// was handed out, run it whole.
bool RunSplit(Forwarded& forwarded, const Call& call, const Request& request);

}  // namespace stagger::agent
