// SIGINT, SIGTERM and SIGHUP as something to poll: blocked, then read from a descriptor.
// One per program, made before any child is started. Children must unblock signals again
// (ChildProcess does).
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"

namespace stagger::cli {

class StopSignal {
 public:
  static Result<StopSignal> Block();

  int fd() const { return fd_.get(); }  // readable once one came
  bool Raised();                        // stays true from then on
  // Sleeps; true as soon as a signal comes.
  bool WaitFor(Duration duration);

 private:
  explicit StopSignal(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  bool raised_ = false;
};

}  // namespace stagger::cli
