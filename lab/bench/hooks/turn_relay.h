// A process that passes a turn on between apps and does nothing else: what apps would build that
// share a GPU by hand (`cuda-camera --pass-by`). It has no policy, no lease, and knows nothing of
// bodies. The yardstick of `stagger bench hooks`: its hand-over is a packet there and one back.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace stagger::cli {

class TurnRelay {
 public:
  // Listens at this path from now on. Dies with us.
  static Result<TurnRelay> Start(const std::string& socket);
  TurnRelay(TurnRelay&& other) noexcept;
  TurnRelay& operator=(TurnRelay&&) = delete;
  ~TurnRelay();  // kills and reaps it

 private:
  explicit TurnRelay(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

}  // namespace stagger::cli
