// The link thread: connects to the daemon, says Hello, hands the socket to the gate, notices when
// the daemon goes, and connects again, also after a refusal. Started by the first inference, never
// earlier; masks all signals; sleeps unless something infers. Never blocks a thread of the app.
#pragma once

#include <atomic>
#include <string>

#include "agent/forward/route.h"
#include "agent/gate.h"
#include "agent/options.h"
#include "agent/say.h"
#include "agent/sync.h"

namespace stagger::agent {

class Link {
 public:
  Link(const Options* options, Gate* gate, Route* route)
      : options_(options), gate_(gate), route_(route) {}

  // Called at every inference: starts the thread once, and tells it that something infers while
  // there is no daemon. One relaxed load when attached.
  void Nudge();
  // The same for an inference that executors run: it gets on without a daemon, so there is nothing
  // to complain of before one runs here.
  void NudgeForwarded();
  // Until the daemon was found or not, since the process started; so that what it assigned to this
  // name is known. At most `longest`.
  void AwaitFirstWord(Duration longest);

  void BeforeFork() ACQUIRE(mutex_) { mutex_.Lock(); }
  void AfterForkInParent() RELEASE(mutex_) { mutex_.Unlock(); }
  void AfterForkInChild() RELEASE(mutex_);

 private:
  // How an attempt ended. Not attached: `again`, unless zero, is when to come again.
  struct Outcome {
    bool attached = false;
    Duration again{};
  };

  static void* Main(void* self);
  void Run();
  Outcome Connect();
  void WantNudge();
  void Pause(Duration least);
  void Complain(Topic topic, const std::string& text);
  Outcome Refuse(const std::string& reason);
  void WatchUntilGone();

  const Options* options_;
  Gate* gate_;
  Route* route_;
  Mutex mutex_;
  Condition nudged_;
  std::atomic<bool> started_{false};
  std::atomic<bool> waiting_{false};            // the thread wants a nudge
  bool tried_ GUARDED_BY(mutex_) = false;       // it has found a daemon, or none
  std::atomic<bool> needed_{false};             // something wants turns
  Topic complaint_topic_ GUARDED_BY(mutex_){};  // what is to be said once something does
  std::string complaint_ GUARDED_BY(mutex_);
};

}  // namespace stagger::agent
