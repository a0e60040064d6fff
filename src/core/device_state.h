// What is known of one device: what runs, what waits, and how much bodies overlapped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/history.h"

namespace stagger::core {

struct RunningTurn {
  ClientId client;
  TurnSeq seq;
  TimePoint granted;
  TimePoint lease_end;  // kNever if the body began while nothing was gated
  bool gated = true;
  bool expired = false;  // kept past its lease: no longer counts against k
  TimePoint body_due{};  // as it was when it waited
  Duration expected{};   // how long its stream's bodies take
  double occupancy = 1;  // of the device, as believed at the grant
  Duration beside{};     // of its time so far, while others ran
  double others = 0;     // ns of that, times the occupancies of those others
  std::vector<std::uint16_t> cores{};
};

struct WaitingTurn {
  ClientId client;
  TurnSeq seq;
  TimePoint requested;
  Duration since_call{};        // at the request
  TimePoint body_due{};         // the latest end of the body that leaves time for what follows it
  Duration deferred{};          // how long a lowered rate held it back
  std::uint32_t overtaken = 0;  // how often one that had asked later went first
  Duration expected{};          // how long its stream's bodies take
  double occupancy = 1;         // of the device
};

// Which stream used the device last, and whether it is the only one (engine_exclusive.cc).
struct ExclusiveUse {
  std::optional<ClientId> user;
  TimePoint since{};         // nobody else has come, nor asked here
  bool begins = false;       // its bodies begin without waiting for an answer
  TimePoint notice_until{};  // until then nobody gets a turn: one more of them may have begun
};

struct DeviceState {
  std::string name;
  std::vector<std::uint16_t> cores;
  int concurrency = 1;                  // k in force; 1 while nothing is gated
  std::optional<TimePoint> last_grant;  // of any turn
  int in_force = 0;                     // of running: those not expired, which k is compared with
  std::vector<RunningTurn> running;     // in order of grant
  std::vector<WaitingTurn> waiting;     // in order of arrival
  std::vector<WaitingTurn> deferred;    // asked before their slot came: they do not compete yet
  // What streams with a stated rate ask for, of what the device can do; the last estimate.
  double load = 0;
  int overloads = 0;  // estimates in a row that said so
  static constexpr int kOverloaded = 2;
  bool overloaded() const { return overloads >= kOverloaded; }
  // Integrals over time: overlap_ratio = over_time / body_time. Expired leases count in neither.
  // For policy off k is taken as 1 (design: the share of body time in which more than k ran).
  Duration body_time{};     // sum over running turns
  Duration over_time{};     // the part of body_time during which more than k turns ran
  Duration busy_time{};     // wall time with at least one turn running
  std::uint64_t turns = 0;  // bodies begun here, gated or not
  // Of turns: when a body was last let in beyond the demand limit, to learn from it.
  std::uint64_t probed = 0;
  ExclusiveUse exclusive;
  Newest<PastTurn, 1024> past;  // in order of their end
};

// The integrals alone.
struct DeviceTimes {
  Duration body{};
  Duration over{};
  Duration busy{};
};
// What they come to if `elapsed` passes and nothing begins or ends.
DeviceTimes TimesAfter(const DeviceState& device, Duration elapsed);
// Adds `elapsed` to the integrals, during which nothing began or ended.
void Accrue(DeviceState& device, Duration elapsed);

}  // namespace stagger::core
