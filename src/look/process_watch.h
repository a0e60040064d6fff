// The processes of an app, as /proc shows them: what they run, what they have loaded, and whether
// the agent is in them. Looks from outside, now and then: a process that came and went between two
// looks is only known if the agent was in it. One thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/time.h"

namespace stagger::cli {

struct WatchedProgram {
  pid_t pid = 0;
  pid_t parent = 0;
  std::string program;  // the file it runs; empty: not ours to see
  std::string command;
  bool readable = true;  // false: its mappings are forbidden to us
  bool agent = false;    // mapped
  bool cuda_agent = false;
  std::optional<bool> told_to_preload;   // LD_PRELOAD in its environment names the agent
  std::map<std::string, int> libraries;  // those that matter; how many copies
  std::set<std::string> code;            // files it has mapped to execute
};

// What the text of /proc/PID/maps says; pure.
void AddMaps(const std::string& maps, WatchedProgram* program);

class ProcessWatch {
 public:
  // From now on orphans of the app become our children, so that they are found.
  ProcessWatch();

  // Looks at the app that `root` leads. Returns how long to wait before the next look.
  Duration Look(pid_t root);

  // In the order they were seen first.
  std::vector<WatchedProgram> programs() const;

 private:
  using Key = std::tuple<pid_t, std::uint64_t, std::string>;  // pid, start time, program
  struct Entry {
    WatchedProgram program;
    std::size_t order = 0;
    TimePoint next;  // when to read its mappings again
    int reads = 0;
  };
  void Read(pid_t pid, pid_t parent, std::uint64_t started, TimePoint now);

  std::set<pid_t> not_the_apps_;  // children of ours that were there before it
  std::set<std::pair<pid_t, std::uint64_t>> tracked_;
  std::map<Key, Entry> entries_;
  TimePoint first_{};
};

}  // namespace stagger::cli
