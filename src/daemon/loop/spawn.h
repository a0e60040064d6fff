// Starts a program without waiting for it: the daemon's loop then watches the program's pidfd.
// Loop thread only. The child inherits no descriptor, no blocked signal and no terminal input.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace stagger::daemon {

struct SpawnSpec {
  std::string path;
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;  // on top of the daemon's own
  std::string input;   // all of the program's stdin, at most a few hundred bytes
  std::string output;  // a file, made anew, for what the program prints
};

struct Spawned {
  pid_t pid = -1;
  UniqueFd ended;  // a pidfd
};

Result<Spawned> Spawn(const SpawnSpec& spec);

// Once `ended` is readable: the exit code, or 128 + the signal's number. Reaps. Empty: it runs.
std::optional<int> ExitCodeOf(const Spawned& process);

// A pidfd of any process, for its end only; invalid if there is none of that number.
UniqueFd WatchProcess(pid_t pid);

// The program of that name in $PATH; empty: none.
std::string InPath(const std::string& name);

}  // namespace stagger::daemon
