// Where this process's inferences are to go, and the thread that moves them there: it has models
// loaded by executors that are new before calls go to them. One per process. Thread-safe; no thread
// of the app waits for the mover. The mover never calls the app's runtime, so that it may run while
// the app releases sessions or ends.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "agent/sync.h"

namespace stagger::agent {

class Gate;
class Remote;

class Route {
 public:
  explicit Route(Gate* gate) : gate_(gate) {}

  // As the process was started.
  void Begin(std::vector<std::string> executors) {
    MutexLock lock(&mutex_);
    executors_ = std::move(executors);
  }

  // The daemon says so. Only takes note and wakes the mover: the gate's lock is held.
  // `standby` are to be ready for when none of the others serves.
  void Assign(const std::vector<std::string>& executors, const std::vector<std::string>& standby);
  std::vector<std::string> executors();

  // One more session, which has begun with what executors() said.
  void Add(std::weak_ptr<Remote> remote, const std::vector<std::string>& began_with);

  // Something is for the mover to do: an executor may be tried again, or was lost. Cheap.
  void Kick();

  // Tells the daemon which executors the sessions use, if that is new to it or `anyway`.
  void Report(bool anyway);

  // pthread_atfork. The lock of reports is taken before the gate's, the other after it.
  void BeforeReportsFork() ACQUIRE(report_mutex_) { report_mutex_.Lock(); }
  void BeforeFork() ACQUIRE(mutex_) { mutex_.Lock(); }
  void AfterForkInParent() RELEASE(mutex_, report_mutex_);
  void AfterForkInChild() RELEASE(mutex_, report_mutex_);

 private:
  static void* Main(void* self);
  void Run();
  void Wake() REQUIRES(mutex_);

  Gate* gate_;
  Mutex mutex_;
  Condition woken_;
  std::vector<std::string> executors_ GUARDED_BY(mutex_);
  std::vector<std::string> standby_ GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<Remote>> remotes_ GUARDED_BY(mutex_);
  bool started_ GUARDED_BY(mutex_) = false;
  std::atomic<bool> kicked_{false};
  std::atomic<bool> assigned_anew_{false};  // since the mover took its list
  // Held while one tells the daemon, so that what is told last is what is so.
  Mutex report_mutex_;
  std::vector<std::string> reported_ GUARDED_BY(report_mutex_);
};

}  // namespace stagger::agent
