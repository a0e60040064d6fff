// What answers command lines, as sessions see it. Loop thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "daemon/loop/peer.h"

namespace stagger::daemon {

class Commands {
 public:
  struct Answer {
    bool ok = true;
    bool stop = false;  // once the answer is out
    std::string body;   // JSON if ok, else one line
    // Further answers follow as there is news (News).
    bool follows = false;
  };
  // Members of the group may look; only the owner may change anything.
  struct Asker {
    ClientId client;
    Access access;
    pid_t pid;
  };
  virtual ~Commands() = default;

  // nullopt: the answer is worked out elsewhere, and comes by Server::Answer.
  virtual std::optional<Answer> Handle(const std::string& verb, const std::string& body,
                                       const Asker& asker, TimePoint now) = 0;
  virtual void Stop() = 0;
  // What there is to tell process `pid` after `*told`, a count that is moved on; nullopt: nothing.
  virtual std::optional<std::string> News(pid_t pid, std::uint64_t* told) = 0;
};

}  // namespace stagger::daemon
