// How long a body may have to wait under a limit of k, so that an agent knows when to stop
// believing in its daemon.
#pragma once

#include "base/time.h"

namespace stagger::core {

// `before`: how long others may go first as often as they like. `others`: the leases of all other
// streams, added up. While one waits, at least k turns run, and each other stream has at most one
// turn before it, of at most its lease: hence others / k.
Duration WaitBound(Duration before, Duration others, int k);

// Whether a bound moved so far (25 %) that an agent should hear of it.
bool WorthTelling(Duration told, Duration bound);

}  // namespace stagger::core
