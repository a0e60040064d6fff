// Whether anything in this process captures a graph. What a capturing stream is given is no work
// yet, and an event of ours on it would become part of the app's graph. Other streams go on as
// always: what we call meanwhile is allowed to a thread in relaxed mode, whatever the capture's
// mode.
#pragma once

#include <atomic>

namespace stagger::cuda_agent {

class Captures {
 public:
  static void Began() {
    // What another thread may have ended for this one is forgotten.
    if (count().fetch_add(1, std::memory_order_relaxed) == 0) begun_here() = 0;
    ++begun_here();
  }
  static void Ended() {
    if (begun_here() > 0) --begun_here();
    int now = count().load(std::memory_order_relaxed);
    while (now > 0 && !count().compare_exchange_weak(now, now - 1, std::memory_order_relaxed)) {
    }
  }
  static bool any() { return count().load(std::memory_order_relaxed) > 0; }
  static void AfterForkInChild() { count().store(0); }
  // Of this thread: captures that it began and did not end.
  static int& begun_here() {
    static thread_local int captures = 0;
    return captures;
  }

 private:
  static std::atomic<int>& count() {
    static constinit std::atomic<int> captures{0};
    return captures;
  }
};

}  // namespace stagger::cuda_agent
