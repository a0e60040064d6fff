// What the agent knows of the app's sessions and session options, by their addresses.
// Thread-safe; lookups hold the lock for a map access only.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "agent/pool.h"
#include "agent/sync.h"
#include "base/slot_clock.h"

namespace stagger::agent {

// What an app chose itself for a set of session options; what it chose, stays.
struct OptionFacts {
  bool threads = false;         // intra-op thread count
  bool custom_threads = false;  // its own thread functions
  bool shared_pool = false;     // the environment's global pools instead of the session's
  bool accelerator = false;     // an execution provider other than the CPU's
  // For executors: why sessions (or runs) with these options stay in the app; empty: they may go.
  std::string local_only;
  std::map<std::string, std::string>
      forwarded;  // what an executor must know (executor/ort_model.h)
};

struct Forwarded;  // hooks/forward.h
struct Previous;   // hooks/reuse.h

struct Session {
  std::unique_ptr<Pool> pool;  // null: the threads are not ours to place
  std::atomic<unsigned> warmup_left{0};
  // More than 0: its calls have bodies on a GPU, which are gated there.
  std::atomic<unsigned> has_own_bodies{0};
  bool controlled = true;                // false: it computes on a device this agent does not gate
  std::shared_ptr<Forwarded> forwarded;  // null: it computes in this process
  SlotClock slots;                       // of its calls; under the gate's lock
  // `reuse`: the thread that sets `in_call` may use `previous` until it clears the flag.
  std::atomic<bool> in_call{false};
  std::atomic<bool> reuse_refused{false};
  std::shared_ptr<Previous> previous;
};

class Sessions {
 public:
  OptionFacts FactsOf(const void* options);
  template <typename Change>  // void(OptionFacts*)
  void Update(const void* options, const Change& change) {
    MutexLock lock(&mutex_);
    change(&options_[options]);
  }
  void CopyFacts(const void* from, const void* to);
  void ForgetOptions(const void* options);

  void Add(const void* session, std::shared_ptr<Session> record);
  // A session made in a way we don't hook is met here first; it gets a record with `warmup`.
  std::shared_ptr<Session> Find(const void* session, unsigned warmup);
  // The record, so that it outlives the runtime's release of its threads.
  std::shared_ptr<Session> Take(const void* session);

  void BeforeFork() ACQUIRE(mutex_) { mutex_.Lock(); }
  void AfterForkInParent() RELEASE(mutex_) { mutex_.Unlock(); }
  void AfterForkInChild() RELEASE(mutex_) { mutex_.Renew(); }

 private:
  Mutex mutex_;
  std::map<const void*, OptionFacts> options_ GUARDED_BY(mutex_);
  std::map<const void*, std::shared_ptr<Session>> sessions_ GUARDED_BY(mutex_);
};

}  // namespace stagger::agent
