// Whether anything in this process captures a graph. Calls on a capturing stream build a graph and
// do no work; an event of ours there would become part of the graph. Other streams go on as always.
// Our own driver calls use the relaxed capture mode, which CUDA permits during any capture.
//
// Thread-safe. Where nothing captures, asking costs one relaxed load.
#pragma once

#include <atomic>

#include "cuda/driver_types.h"

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
  // Whether this stream captures, or cannot be used while another one does.
  static bool Includes(CUstream stream);

 private:
  static std::atomic<int>& count() {
    static constinit std::atomic<int> captures{0};
    return captures;
  }
};

// While it lives, this thread's driver calls spoil no capture that another thread has under way.
class Relaxed {
 public:
  Relaxed();
  ~Relaxed();
  Relaxed(const Relaxed&) = delete;
  Relaxed& operator=(const Relaxed&) = delete;

 private:
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace stagger::cuda_agent
