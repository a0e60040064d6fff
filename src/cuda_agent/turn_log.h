// What turns this process took, for tests and for looking at one app closely: a line of JSON for
// each, appended to the file that $STAGGER_TURNS names soon after the turn was given back. Bodies
// are told by the number of their first and last launch in the process, which no busy machine can
// blur. The fields are in docs/cuda.md. Without the variable nothing is kept or written.
//
// Thread-safe: a line is one write to a file opened for appending, so several processes may share
// it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "cuda_agent/body_watch.h"

namespace stagger::cuda_agent {

class TurnLog {
 public:
  static TurnLog& Get();

  bool wanted() const { return fd_ >= 0; }
  // The body's turn was given back. The line is kept, where the file cannot be written at once
  // without keeping somebody from a core who was just given the turn.
  void Add(const OpenBody& body, TimePoint over, bool at_once);
  bool has_kept() const { return kept_ > 0; }
  // On one thread, the one that kept them.
  void Write();

 private:
  TurnLog();

  void Write(const char* text, std::size_t size);

  int fd_ = -1;
  std::array<char, 8192> lines_{};  // kept; a longer text is written at once
  std::size_t kept_ = 0;
};

}  // namespace stagger::cuda_agent
