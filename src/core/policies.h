// Policies: which turn is next on a device. A policy is stateless: it sees one device as it is and
// names the next turn, and why. The engine does the rest (leases, cores, counters), the same for
// all.
//
// To add one: write its Next function and its row in policies.cc. Help, error texts and
// `stagger why` come from that row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "core/actions.h"
#include "core/device_state.h"
#include "core/events.h"
#include "core/stream.h"

namespace stagger::core {

inline constexpr int kMaxConcurrency = 1024;
inline constexpr double kMaxDemandLimit = 64;
inline constexpr Duration kMaxSpacing = std::chrono::minutes{1};

struct DeviceView {
  const DeviceState& device;
  const PolicySpec& spec;
  TimePoint now;
  Reason cause;  // what has just happened that may have made room
  bool probe;    // one more than the demand limit allows would be welcome, to learn from it
};

struct Decision {
  static constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

  std::size_t next = kNobody;     // index into device.waiting
  Reason reason = Reason::kFree;  // why this one, now
  TimePoint not_before = kNever;  // with kNobody: ask again then, even if nothing happens
};

struct Policy {
  std::string_view name;
  std::string_view sentence;  // what it does, for help and documents
  std::string_view order;     // which of the waiting turns is next, for `stagger why`
  // Asked again after each grant until it says kNobody.
  Decision (*next)(const DeviceView& view);
  bool gates = true;       // false: bodies start without asking
  bool concurrent = true;  // heeds PolicySpec::concurrency; otherwise k is 1
  // A turn lasts for the whole inference, not only for its body: a yardstick for simulations.
  // Agents give their turns back when the body ends.
  bool whole = false;
  bool spaced = false;     // heeds PolicySpec::spacing
  bool overtakes = false;  // one that waits may be overtaken, until its body is due
};

std::span<const Policy> Policies();
const Policy* FindPolicy(std::string_view name);  // null if there is none

// Where turns are kept. Apps know all policies but those of whole inferences.
enum class TurnsOf : std::uint8_t { kApps, kSimulations };

std::string PolicyNames(TurnsOf use);    // "off, fifo, edf"
std::string PolicyChoices(TurnsOf use);  // "off (SENTENCE), fifo (SENTENCE) or edf (SENTENCE)"
// Error: there is none, and which there are; or what to use instead of one for simulations only.
Result<void> CheckPolicyName(const std::string& name, TurnsOf use);

// Whether this one may start beside what runs: fewer than k run, and its occupancy fits in with
// theirs where that is limited. The reason for a grant, `reason` unless it is a probe; nothing: no
// room.
std::optional<Reason> RoomFor(const WaitingTurn& turn, const DeviceView& view, Reason reason);

// Error: no such policy, a concurrency out of 0..kMaxConcurrency, a spacing out of 0..1 min, a
// demand limit below 1 or over kMaxDemandLimit, or beside `auto`.
Result<void> Validate(const PolicySpec& spec, TurnsOf use = TurnsOf::kSimulations);

// k on this device: as asked, or one turn per core, or one where there are no cores; no limit where
// occupancies are limited instead.
int Limit(const Policy& policy, const PolicySpec& spec, const DeviceState& device);

}  // namespace stagger::core
