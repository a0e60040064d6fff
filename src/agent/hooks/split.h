// Calls, whole or in parts, on their way through executors. Splitting: a batch of N divides over
// the session's executors and comes back in order. Only for models whose items were found not to
// touch each other.
#pragma once

#include <memory>

#include "agent/forward/call.h"

namespace stagger::agent {

struct Forwarded;

struct Part {
  Request request;
  std::unique_ptr<ExecutorSlot> slot{};  // while it is under way, or its answer is there
};

enum class Sent : unsigned char { kUnderWay, kNoRoom, kNobody };
// Copies the inputs to an executor, and has it begin.
Sent Begin(Forwarded& forwarded, Part* part);
// Waits for the answer; one whose executor died begins again on another. False: there is none.
bool End(Forwarded& forwarded, Part* part);
// After that; nothing to be done without a slot.
void Release(Forwarded& forwarded, Part* part);

// True: done, the outputs are handed out. False: it cannot be split, or did not work out; nothing
// was handed out, run it whole.
bool RunSplit(Forwarded& forwarded, const Call& call, const Request& request);

}  // namespace stagger::agent
