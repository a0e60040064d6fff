// The threads a session computes with. The agent creates them in the runtime's stead (ONNX Runtime
// offers a hook for that), so it knows them and can say where they run while a body has its turn.
//
// Owned by the session's record. Create/Join are called by the runtime, PinTo by the thread that
// runs the body.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/types.h>

#include <atomic>
#include <vector>

#include "agent/sync.h"
#include "wire/messages.h"

namespace stagger::agent {

// How many cores this process may use, hyperthreads of one core counted once. At least 1.
int UsableCores();

class Pool {
 public:
  // Signatures of OrtCustomCreateThreadFn / OrtCustomJoinThreadFn; `pool` is a Pool*.
  static const void* CreateThread(void* pool, void (*worker)(void*), void* argument);
  static void JoinThread(const void* handle);

  // Puts the pool's threads on `cores`; empty: back where they were. Cheap if nothing changed.
  void PinTo(const wire::CoreMask& cores);

 private:
  struct Thread;
  Mutex mutex_;
  std::vector<Thread*> threads_ GUARDED_BY(mutex_);
  wire::CoreMask placed_ GUARDED_BY(mutex_);
};

// Puts the calling thread on `cores` for its lifetime, and back.
class PinCaller {
 public:
  explicit PinCaller(const wire::CoreMask& cores);
  ~PinCaller();
  PinCaller(const PinCaller&) = delete;
  PinCaller& operator=(const PinCaller&) = delete;

 private:
  bool moved_ = false;
  cpu_set_t before_;
};

}  // namespace stagger::agent
