// The link thread: connects to the daemon, says Hello, hands the socket to the gate, notices when
// the daemon goes, and connects again. Started by the first inference, never earlier; masks all
// signals; sleeps unless something infers. Never blocks a thread of the app.
#pragma once

#include <atomic>

#include "agent/gate.h"
#include "agent/options.h"
#include "agent/sync.h"

namespace stagger::agent {

class Link {
 public:
  Link(const Options* options, Gate* gate) : options_(options), gate_(gate) {}

  // Called at every inference: starts the thread once, and tells it that something infers while
  // there is no daemon. One relaxed load when attached.
  void Nudge();

  void BeforeFork() { mutex_.Lock(); }
  void AfterForkInParent() { mutex_.Unlock(); }
  void AfterForkInChild();

 private:
  enum class Outcome : unsigned char { kAttached, kRetry, kNeverAgain };

  static void* Main(void* self);
  void Run();
  Outcome Connect();
  void AwaitNudge();
  void WatchUntilGone();

  const Options* options_;
  Gate* gate_;
  Mutex mutex_;
  Condition nudged_;
  std::atomic<bool> started_{false};
  std::atomic<bool> waiting_{false};  // the thread wants a nudge
};

}  // namespace stagger::agent
