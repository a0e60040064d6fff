// What `stagger run` told this process, through its environment. Read once, before any hook acts.
#pragma once

#include <string>
#include <vector>

#include "wire/messages.h"

namespace stagger::agent {

struct Options {
  std::string socket;       // STAGGER_SOCKET, else the default path
  wire::Hello hello;        // STAGGER_NAME, _EXCESS, and what base/stream_settings.inc lists
  unsigned warmup = 2;      // STAGGER_WARMUP: first inferences of a session that are not gated
  bool cooperative = true;  // STAGGER_COOPERATIVE=0: leave the app's thread pools as they are
  // STAGGER_EXECUTOR: sockets, commas between. Set but empty: the daemon will say where.
  bool forwards = false;
  std::vector<std::string> executors;
  std::string serves;     // STAGGER_SERVES: this process is the executor at that socket
  unsigned pipeline = 0;  // STAGGER_PIPELINE: a result comes so many calls later
  // Between inferences at the stated rate; 0: none stated. What to do with calls beyond it: hello.
  Duration period{};
  bool quiet = false;  // STAGGER_QUIET=1: not even the one line that says why
};

// Values that don't parse keep their default and are named in `complaint` (empty if none):
// an agent never stops an app because of its own configuration.
Options ReadOptions(std::string* complaint);

}  // namespace stagger::agent
