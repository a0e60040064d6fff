// What turns this process took, for tests and for looking at one app closely: a line of JSON for
// each, appended to the file that $STAGGER_TURNS names as soon as the turn was given back. Bodies
// are told by the number of their first and last launch in the process, which no busy machine can
// blur. The fields are in docs/cuda.md. Without the variable nothing is kept or written.
//
// Thread-safe: a line is one write to a file opened for appending, so several processes may share
// it.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "cuda_agent/body_watch.h"

namespace stagger::cuda_agent {

class TurnLog {
 public:
  static TurnLog& Get();

  bool wanted() const { return fd_ >= 0; }
  // The body's turn was given back.
  void Add(const OpenBody& body, TimePoint over);

 private:
  TurnLog();

  int fd_ = -1;
};

}  // namespace stagger::cuda_agent
