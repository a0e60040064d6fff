// What the engine wants done, in order. Every action carries its reason.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace stagger::core {

// Why something is done, with what is said of it. Recordings hold the numbers: new ones go last.
// clang-format off
#define STAGGER_REASONS(row) \
  row(kFree, "a turn was free") \
  row(kReleased, "another body ended") \
  row(kHolderGone, "the process that held the turn is gone") \
  row(kDeadline, "its deadline comes first") \
  row(kSpacing, "the spacing since the last start has passed") \
  row(kLeaseEnded, "the holder kept its turn longer than its lease") \
  row(kCancelled, "one that had asked for the turn gave it up") \
  row(kPolicyOff, "the policy is off, nothing is gated") \
  row(kPolicyChange, "the policy or its limit changed") \
  row(kClientsChange, "streams joined or left, so the waiting bound changed") \
  row(kBodiesChange, "bodies became longer or shorter, so the waiting bound changed") \
  row(kRatesChange, "rates were lowered under overload, or came back") \
  row(kProbe, "to see how much bodies slow each other down") /* beyond the demand limit */ \
  row(kExclusive, "no other stream uses the device")
// clang-format on

enum class Reason : std::uint8_t {
#define STAGGER_REASON(name, text) name,
  STAGGER_REASONS(STAGGER_REASON)
#undef STAGGER_REASON
};
constexpr const char* ToString(Reason reason) {
#define STAGGER_REASON(name, text) \
  if (reason == Reason::name) return text;
  STAGGER_REASONS(STAGGER_REASON)
#undef STAGGER_REASON
  return "no reason known";
}

struct Grant {
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Duration lease{};
  Duration deferred{};               // of its wait, how long a lowered rate held it back
  std::vector<std::uint16_t> cores;  // CPU numbers for this body; empty: wherever the app may run
  Reason reason;
  friend bool operator==(const Grant&, const Grant&) = default;
};
struct Expire {  // the turn is taken back; tell the holder
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Reason reason;
  friend bool operator==(const Expire&, const Expire&) = default;
};
struct Configure {  // tell the client how to behave
  ClientId client;
  bool gating = true;
  Duration wait_bound{};
  Reason reason;
  // Between two inferences at the rate in force, where the agent is to keep it: under `reuse`, and
  // for calls that executors run at a lowered rate. 0: it keeps none but what it was started with.
  Duration period{};
  // By DeviceId: there the client's bodies begin without waiting for a grant, and say so.
  std::uint32_t exclusive = 0;
  friend bool operator==(const Configure&, const Configure&) = default;
};

using Action = std::variant<Grant, Expire, Configure>;

}  // namespace stagger::core
