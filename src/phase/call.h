// What the agent tells the detector of one driver call, and what the detector answers.
//
// Values only. A Call names nothing that must outlive it; hashes and handles are the agent's.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace stagger::phase {

enum class CallKind : std::uint8_t {
  kLaunch,
  kGraphLaunch,
  kCopyIn,        // host to device
  kCopyOut,       // device to host, blocking or not
  kCopyOnDevice,  // also between devices
  kMemset,
  kStreamWait,    // a stream waits for an event, on the device
  kBlockingSync,  // of a stream, an event or a context
  kQuery,         // of an event or a stream; returns at once
  kEventRecord,
  kHostFunction,
  kMemory,      // allocations, frees, module loads
  kLabelBegin,  // a framework call begins, as a framework hook saw it
  kLabelEnd,
};
inline constexpr int kCallKinds = 14;

// From the third query of one thing in a row on, queries are a wait (docs/phases.md).
inline constexpr std::uint32_t kQueriesOfAWait = 3;

struct Call {
  CallKind kind{};
  std::uint32_t queries = 1;  // of a query: how many of one thing in a row this call stands for
  std::uint64_t hash = 0;   // launch: kernel, grid and block; graph launch: the graph; query: what
  std::uint64_t bytes = 0;  // of copies
  std::uint64_t context = 0;
  std::uint64_t thread = 0;
  TimePoint at{};  // entry; where Detector::NeedsTime says no, the time last told will do
};

// Bodies are numbered from 1 in the order they begin; 0 is none.
using BodyId = std::uint64_t;

// What to do about a call. In this order: end, gate, pass the call on, end.
struct Verdict {
  BodyId ended_before = 0;  // over with what was launched so far: record its event before the call
  BodyId begun = 0;         // begins with this call: wait at the gate
  BodyId ended_after = 0;   // over with this call: record its event right after it
  BodyId marked = 0;  // nothing may ever tell its end: note how far the device is, after the call
  bool inference_ended = false;  // seen only now: an inference ended before this call

  // Of nearly all calls.
  bool IsNothing() const {
    return (ended_before | begun | ended_after | marked) == 0 && !inference_ended;
  }
};

}  // namespace stagger::phase
