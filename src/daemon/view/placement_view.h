// The plan in force as the status document has it. Any thread.
#pragma once

#include "base/time.h"
#include "documents/status.h"
#include "placement/in_force.h"

namespace stagger::daemon {

// The plan, and the place of each stream of the document that has one. Nothing if the plan is
// empty.
void PutPlacement(const placement::PlanInForce& plan, TimePoint now, documents::Status* out);

}  // namespace stagger::daemon
