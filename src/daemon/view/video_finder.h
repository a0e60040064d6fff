// Finds where an app shows its video: a TCP port that its process listens on at a loopback or
// wildcard address. Reads /proc, which may take milliseconds: never on the loop thread.
// Thread-safe. Looks again only when asked, and at most every two seconds.
#pragma once

#include <sys/types.h>

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/time.h"
#include "documents/status.h"

namespace stagger::daemon {

class VideoFinder {
 public:
  // Fills in streams[].video by their pid.
  void Annotate(documents::Status* status);

 private:
  std::mutex mutex_;
  TimePoint looked_{};
  std::map<pid_t, int> ports_;  // 0: none found
};

// socket inode -> port, from one table of /proc/net/tcp or tcp6; listening, loopback or any only.
std::map<unsigned long, int> ListeningPorts(const std::string& proc_net_table);

}  // namespace stagger::daemon
