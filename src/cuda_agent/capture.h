// Whether anything in this process captures a graph. While it does nothing is gated and no event of
// ours is recorded: on the stream that captures it would become part of the app's graph, and on
// others it may make the capture invalid.
#pragma once

#include <atomic>

namespace stagger::cuda_agent {

class Captures {
 public:
  static void Began() { count().fetch_add(1, std::memory_order_relaxed); }
  static void Ended() {
    int now = count().load(std::memory_order_relaxed);
    while (now > 0 && !count().compare_exchange_weak(now, now - 1, std::memory_order_relaxed)) {
    }
  }
  static bool any() { return count().load(std::memory_order_relaxed) > 0; }
  static void AfterForkInChild() { count().store(0); }

 private:
  static std::atomic<int>& count() {
    static constinit std::atomic<int> captures{0};
    return captures;
  }
};

}  // namespace stagger::cuda_agent
