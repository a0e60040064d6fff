// One session's executors: its slots to them, which are idle, which executor is down, and which are
// to serve it from now on. Lends slots to the app's threads. Thread-safe; the lock is never held
// while anything is waited for.
//
// An executor that is new, or was lost, is opened by the mover (route.h) while another one serves:
// no call waits for its model to load. Those no longer named serve until one that is named does;
// then their idle slots close, and the others as soon as their inference is over. One on standby
// has the model loaded and an idle slot open, and gets calls only while no other one serves.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "agent/forward/executor_slot.h"
#include "agent/sync.h"

namespace stagger::agent {

class Route;

class Remote {
 public:
  // Slots are opened as they are needed. `path`: of the model's file, absolute; empty: the session
  // was made of bytes.
  Remote(Route* route, const std::vector<std::string>& sockets, wire::Open open, std::string path);

  // The first slot: tries one executor after the other. On success the model's and the stub's
  // bytes are there; else `reason` says why not, and `refused` whether every executor did.
  bool Begin(std::span<const std::byte> model, Mapping* stub, std::string* reason,
             bool* refused) NO_THREAD_SAFETY_ANALYSIS;

  // The executor with the fewest inferences of this session; null: none can be had now.
  std::unique_ptr<ExecutorSlot> Acquire();
  void Return(std::unique_ptr<ExecutorSlot> slot);
  // The executor is gone: all its slots are.
  void Lose(std::unique_ptr<ExecutorSlot> slot);

  // The model is loaded in this process: calls don't wait for an executor to load it any more.
  void HasStandIn() { stand_in_.store(true); }

  // The mover: has the model loaded where it is not yet, then leaves those that are not named.
  // It gives up what takes long once `give_up` is set.
  void MoveTo(const std::vector<std::string>& sockets, const std::vector<std::string>& standby,
              const std::atomic<bool>* give_up);
  // The executors that calls go to now.
  void AddUsed(std::vector<std::string>* sockets) const;

  bool batch() const;
  std::size_t executors() const;  // that a call may be divided over
  // The model's bytes, for a session in this process; they stay while they are held. Null: they
  // were never needed.
  std::shared_ptr<const Mapping> model() const;

  // pthread_atfork: slots are the parent's.
  static void BeforeFork() ACQUIRE(mutex_);
  static void AfterForkInParent() RELEASE(mutex_);
  static void AfterForkInChild() RELEASE(mutex_);

 private:
  struct Executor {
    unsigned id = 0;
    std::string socket;
    bool named = true;        // by the list in force
    bool standby = false;     // by the other list in force, and not by that one
    bool leaving = false;     // gets no more calls; it goes with its last slot
    bool background = false;  // not open: the mover opens it while another one serves
    std::vector<std::unique_ptr<ExecutorSlot>> idle{};
    int busy = 0;
    TimePoint retry_at{};  // when it may be tried again, after it failed
    Duration pause{};
  };

  Executor* Find(unsigned id) REQUIRES(mutex_);
  Executor* Choose(TimePoint now, const std::vector<unsigned>& tried) REQUIRES(mutex_);
  Executor& Know(const std::string& socket, bool standby) REQUIRES(mutex_);
  void LeaveUnnamed(std::vector<std::unique_ptr<ExecutorSlot>>* closing) REQUIRES(mutex_);
  void ForgetParents() REQUIRES(mutex_);
  void Failed(Executor& executor, bool refused);
  std::unique_ptr<ExecutorSlot> Open(unsigned id, const std::string& socket,
                                     const std::atomic<bool>* give_up);
  std::shared_ptr<const Mapping> ReadModel() const;

  // One for all sessions: it guards a few words at a time, and fork must take it.
  static Mutex mutex_;

  Route* route_;
  wire::Open open_;
  std::string path_;
  std::shared_ptr<const Mapping> model_ GUARDED_BY(mutex_);
  bool batch_ GUARDED_BY(mutex_) = false;
  std::atomic<bool> stand_in_{false};
  std::vector<std::unique_ptr<Executor>> executors_ GUARDED_BY(mutex_);
  unsigned last_id_ GUARDED_BY(mutex_) = 0;
  unsigned generation_ GUARDED_BY(mutex_);
  std::size_t turn_ GUARDED_BY(mutex_) = 0;  // the next one among equals
};

}  // namespace stagger::agent
