// What is known of one stream: its spec, what it holds or waits for, and what it has done so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/events.h"
#include "core/history.h"
#include "core/occupancy.h"
#include "core/sample_window.h"

namespace stagger::core {

struct StreamCounters {
#define STAGGER_STREAM_COUNTER(field, key, help) std::uint64_t field = 0;
#include "core/stream_counters.inc"
};

// One row of core/stream_counters.inc.
struct StreamCounter {
  std::uint64_t StreamCounters::*value;
  const char* key;   // in the status; null: not shown
  const char* help;  // in /metrics; null: not there
};

inline constexpr StreamCounter kStreamCounters[] = {
#define STAGGER_STREAM_COUNTER(field, key, help) {&StreamCounters::field, key, help},
#include "core/stream_counters.inc"
};

// A turn that is over for the engine while its body may run on: it gave up waiting, or its lease
// ended and the stream asked anew. Its release is still worth recording.
struct Detached {
  TurnSeq seq;
  DeviceId device;
  TimePoint granted;
  bool gated = true;  // false: its body ran without a turn
  bool late = false;  // its lease had ended
};

// A stream's place at one device. It holds at most one turn there.
struct Seat {
  enum class Holds : std::uint8_t { kNothing, kWaits, kRuns, kExpired };
  static constexpr std::size_t kMaxDetached = 4;  // then the oldest is forgotten

  Holds holds = Holds::kNothing;
  TurnSeq seq;  // of what it holds
  std::vector<Detached> detached;
  std::optional<TimePoint> last_done;
  Duration deferred{};                    // of its last turn: how long a lowered rate held it back
  std::vector<std::uint16_t> last_cores;  // where its caches are warm
};

struct Stream {
  StreamSpec spec;
  StreamCounters counters;
  SampleWindow pre;   // call's start to request
  SampleWindow body;  // most recent bodies, from grant to release
  SampleWindow wait;  // request to grant
  SampleWindow post;  // body's end to the call's return; empty where the body ends the call
  SampleWindow call;  // whole framework call
  // From grant to release, of bodies beside which no other ran; and what the others say.
  SampleWindow alone;
  OccupancyEstimate occupancy;
  TimePoint joined;
  TimePoint last_done{};    // of the most recent body
  std::vector<Seat> seats;  // by DeviceId
  Duration lease{};         // its next turn's
  // Rates (engine_rates.cc).
  DeviceId last_device;  // where it asked last
  Duration occupied{};   // mean time that its turns keep the device, hand-off included
  std::uint32_t occupied_samples = 0;  // of that mean
  double cap_fps = 0;                  // no more than this, since more would not fit; 0: no cap
  double assigned_fps = 0;             // its lowered rate; 0: as it asks
  TimePoint lowered_since{};           // with a lowered rate: since when it is lower at all
  TimePoint next_slot{};               // with a lowered rate: its next turn not before
  bool told_gating = true;             // what its last Configure said
  Duration told_bound{};
  Duration told_period{};
  Newest<PastWait, 64> waits;
  Newest<Incident, 8> incidents;
};

}  // namespace stagger::core
