// A small process beside ours that outlives us for a moment: when we are gone, however we went, it
// kills the process groups and removes the files we had told it of. Nothing is left behind even
// after SIGKILL. It ends as soon as our end of its pipe closes. Owned by the main thread. Must be
// started before any other child, so that it inherits no pipe of theirs.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace stagger::cli {

class Keeper {
 public:
  static Result<Keeper> Start();
  Keeper(Keeper&& other) noexcept;
  Keeper& operator=(Keeper&&) = delete;
  // Lets it do what is left to do and waits for it.
  ~Keeper();

  void WatchGroup(pid_t group);
  void ForgetGroup(pid_t group);  // before the leader is reaped: its number may be reused after
  void WatchPath(const std::string& path);  // a file, a socket, or a folder with all it holds
  void ForgetPath(const std::string& path);

 private:
  Keeper(pid_t pid, UniqueFd pipe) : pid_(pid), pipe_(std::move(pipe)) {}
  void Tell(char what, const std::string& target);

  pid_t pid_;
  UniqueFd pipe_;
};

}  // namespace stagger::cli
