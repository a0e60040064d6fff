// What turns this process took, for tests and for looking at one app closely: a line of JSON for
// each, appended to the file that $STAGGER_TURNS names soon after the turn was given back. Bodies
// are told by the number of their first and last launch in the process, which no busy machine can
// blur. The fields are in docs/cuda.md. Without the variable nothing is kept or written.
//
// Thread-safe: a line is one write to a file opened for appending, so several processes may share
// it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "agent/sync.h"
#include "base/time.h"
#include "cuda_agent/turns.h"

namespace stagger::cuda_agent {

class TurnLog {
 public:
  static TurnLog& Get();

  bool wanted() const { return fd_ >= 0; }
  // The body's turn was given back. The line is kept until Write, where the file cannot be written
  // at once without keeping the next holder of the turn from its core.
  void Add(const Body& body, TimePoint over, bool at_once);
  bool has_kept() const { return kept_.load(std::memory_order_relaxed) > 0; }
  void Write();

 private:
  TurnLog();

  void WriteLocked(const char* text, std::size_t size);

  int fd_ = -1;
  agent::Mutex lock_;
  std::array<char, 8192> lines_ GUARDED_BY(lock_){};  // kept; when full they are written at once
  std::atomic<std::size_t> kept_{0};
  std::atomic<bool> ends_{false};  // the process does: nobody will write what is kept
};

}  // namespace stagger::cuda_agent
