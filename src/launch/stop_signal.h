// SIGINT, SIGTERM and SIGHUP as something to poll: blocked, then read from a descriptor. Where that
// is asked for, a SIGHUP that some process sent (kill -HUP) means to read again what there is to
// read; the one that comes of a terminal that is closed still means to stop.
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
  void HangupsMeanReload() { reloads_ = true; }
  bool TakeReload();  // whether one was asked for since the last call
  // Sleeps; true as soon as a signal comes.
  bool WaitFor(Duration duration);

 private:
  explicit StopSignal(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  bool raised_ = false;
  bool reloads_ = false;
  bool reload_ = false;
};

}  // namespace stagger::cli
