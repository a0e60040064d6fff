// What the engine wants done, in order. Every action carries its reason.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace stagger::core {

// Recordings hold the numbers: new ones go last.
enum class Reason : std::uint8_t {
  kFree,           // a turn was free, nobody waited longer
  kReleased,       // another body ended
  kHolderGone,     // a holder's process ended or died
  kDeadline,       // its deadline comes before those of others that waited longer
  kSpacing,        // the spacing since the last start has passed
  kLeaseEnded,     // a holder kept its turn longer than its lease
  kCancelled,      // one that waited gave up
  kPolicyOff,      // nothing is gated
  kPolicyChange,   // the policy or its limit changed
  kClientsChange,  // streams joined or left, so the waiting bound changed
  kBodiesChange,   // bodies became longer or shorter, so the waiting bound changed
  kRatesChange,    // rates were lowered under overload, or came back
  kProbe,          // beyond the demand limit, to see how much bodies slow each other down
  kSole            // nobody else uses the device
};
const char* ToString(Reason reason);  // one plain sentence part: "a turn was free"

struct Grant {
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Duration lease{};
  Duration held{};                   // of its wait, how long a lowered rate held it back
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
  std::uint32_t sole = 0;
  friend bool operator==(const Configure&, const Configure&) = default;
};

using Action = std::variant<Grant, Expire, Configure>;

}  // namespace stagger::core
