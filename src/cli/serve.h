// Keeps controlled cameras running for people to watch, until a stop signal.
#pragma once

#include "base/result.h"
#include "cli/camera_leg.h"

namespace stagger::cli {

// Starts a daemon with its page and plan.cameras cameras that serve their video, says where to
// look, and returns when `stop` was raised (all of it is gone then) or a part failed.
Result<void> Serve(const LegPlan& plan, const LegTools& tools);

}  // namespace stagger::cli
