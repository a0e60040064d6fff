// The list of driver calls (driver_calls.inc) as values: what each symbol is called, since which
// version, and what kind of call it is. Pure; all of it is known at compile time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace stagger::cuda {

enum class CallKind : std::uint8_t {
  kLaunch,
  kGraphLaunch,
  kCopyHtoD,
  kCopyDtoH,
  kCopyDtoD,
  kCopy,  // the direction is known from its arguments only
  kMemset,
  kSync,  // waits for a stream, a context or a device
  kEventRecord,
  kEventSync,
  kQuery,       // asks without waiting
  kStreamWait,  // makes a stream wait for an event or a value
  kHostFunction,
  kCapture,
  kIdentity,  // streams, contexts, modules, functions: come and go
  kMemory,
  kGraph,  // builds or changes a graph; starts nothing
  kEntry,  // how an app gets into the driver
  kOther,
};

struct Call {
  std::string_view base;    // as cuGetProcAddress is asked for it
  std::string_view symbol;  // as the driver exports it
  int since = 0;            // the first CUDA version for which cuGetProcAddress answers with it
  CallKind kind{};
  bool per_thread = false;  // the variant whose null stream is the calling thread's own
};

// Every exported symbol, per-thread variants included. Rows of one base follow each other, oldest
// first.
inline constexpr auto kCalls = std::to_array<Call>({
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  Call{#base, #symbol, since, CallKind::kind, false},
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  Call{#base, #symbol, since, CallKind::kind, false},                                         \
      Call{#base, #symbol #suffix, suffix_since, CallKind::kind, true},
#include "cuda/driver_calls.inc"
});

enum class Lookup : std::uint8_t { kFound, kUnknown, kTooNew };

struct Found {
  Lookup lookup = Lookup::kUnknown;
  std::size_t index = 0;  // into kCalls
};

// What cuGetProcAddress answers for `base` to an app built for `version`: the newest symbol that is
// not newer, per-thread where asked for and there is one. kTooNew: all are newer than `version`.
constexpr Found Find(std::string_view base, int version, bool per_thread) {
  Found found;
  for (std::size_t i = 0; i < kCalls.size(); ++i) {
    const Call& call = kCalls[i];
    if (call.base != base || (call.per_thread && !per_thread)) continue;
    if (call.since > version) {
      if (found.lookup == Lookup::kUnknown) found.lookup = Lookup::kTooNew;
      continue;
    }
    found = {Lookup::kFound, i};  // a per-thread row follows its plain one, and is preferred
  }
  return found;
}

}  // namespace stagger::cuda
