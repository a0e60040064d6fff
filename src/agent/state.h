// The agent's one object in the app's process. Made at the first hook that needs it, never
// destroyed: the app's threads may still infer while the process exits.
#pragma once

#include "agent/forward/route.h"
#include "agent/gate.h"
#include "agent/link.h"
#include "agent/options.h"
#include "agent/sessions.h"

namespace stagger::agent {

class State {
 public:
  static State& Get();

  Options options;
  Gate gate;
  Route route;
  Link link;
  Sessions sessions;

 private:
  State();
};

}  // namespace stagger::agent
