// Turns SIGINT and SIGTERM into a flag that also ends a wait. The first signal
// asks for an orderly end, the second one gets the default action.
// Install once, before other threads start; Requested and WaitUntil on any
// thread. Must never be installed twice: signal handlers are process-wide.
#pragma once

#include "pacing.h"

namespace camera_detector {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool Requested() const;

  // True when a signal came, false when `when` was reached first.
  bool WaitUntil(TimePoint when) const;
};

}  // namespace camera_detector
