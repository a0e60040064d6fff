// What every verb that starts processes needs first. One per program, on the main thread, made
// before any child is started.
#pragma once

#include "base/result.h"
#include "launch/installation.h"
#include "launch/keeper.h"
#include "launch/stop_signal.h"

namespace stagger::cli {

struct Workplace {
  Installation installation;
  Keeper keeper;
  StopSignal stop;

  static Result<Workplace> Open();
};

}  // namespace stagger::cli
