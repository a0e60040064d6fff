// What turns this process took, for tests and for looking at one app closely: a line of JSON for
// each, appended to the file that $STAGGER_TURNS names as soon as the turn was given back. Bodies
// are told by the number of their first and last launch in the process, which no busy machine can
// blur. The fields are in docs/cuda.md. Without the variable nothing is kept or written.
//
// Thread-safe: a line is one write to a file opened for appending, so several processes may share
// it.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/time.h"
#include "cuda_agent/body_watch.h"

namespace stagger::cuda_agent {

class TurnLog {
 public:
  static TurnLog& Get();

  bool wanted() const { return fd_ >= 0; }
  // At every launch, of a kernel or a graph, captured ones too: its number, from 1. Without a file
  // too: bodies that got no more launches are told by it.
  std::uint64_t CountLaunch() { return launches_.fetch_add(1, std::memory_order_relaxed) + 1; }
  // The body's turn was given back.
  void Add(const OpenBody& body, TimePoint over);

 private:
  TurnLog();

  int fd_ = -1;
  std::atomic<std::uint64_t> launches_{0};
};

}  // namespace stagger::cuda_agent
