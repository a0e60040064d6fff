// Which executors apps are to use, by stream name, so that an assignment also holds for an app that
// starts again. And which streams executors serve, as they say themselves. Loop thread only; no
// I/O. Kept in memory: a daemon that starts again knows nothing, and its apps stay where they are.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "daemon/clients/ledger.h"

namespace stagger::daemon {

struct Assignment {
  std::vector<std::string> executors;  // sockets; none: the app runs its inferences itself
  std::string reason;                  // for people; may be empty
  std::vector<std::string> standby{};  // sockets of those that serve while none of these can
  TimePoint since;
};

class Assignments {
 public:
  static constexpr std::size_t kMaxNames = 1024;

  // Error: one line; nothing has changed then.
  Result<void> Set(const std::string& name, Assignment assignment);
  // Of a name that has been assigned some; whether it is new.
  bool SetStandby(const std::string& name, std::vector<std::string> sockets);
  void Forget(const std::string& name) { by_name_.erase(name); }

  // Of the stream's own name, else of the one it asked for when another of that name was there.
  const Assignment* Of(const StreamRecord& stream) const;
  const std::map<std::string, Assignment>& all() const { return by_name_; }

 private:
  std::map<std::string, Assignment> by_name_;
};

// A socket as the wire takes it: absolute, short enough, text. Error: one line.
Result<void> CheckExecutorSocket(const std::string& socket);

}  // namespace stagger::daemon
