// The one place that reads the monotonic clock. Core must not include this.
#pragma once

#include "base/time.h"

namespace stagger {

TimePoint Now();  // CLOCK_MONOTONIC

}  // namespace stagger
