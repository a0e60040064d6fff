// The heart: which body is next. Pure: no clock, thread, environment or I/O; time comes in
// with each event and never runs backwards. The daemon sleeps until NextDeadline(), a simulator
// jumps to it: the code that is simulated is the code that runs.
//
// Single-threaded. Same events in, same actions out (integer time, ordered containers).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "core/actions.h"
#include "core/device_state.h"
#include "core/events.h"
#include "core/stream.h"

namespace stagger::core {

struct DeviceSpec {
  std::string name;                  // "cpu:0"
  std::vector<std::uint16_t> cores;  // CPU numbers bodies may be given; empty for a GPU
};

struct EngineConfig {
  std::vector<DeviceSpec> devices;  // DeviceId is the index
  PolicySpec policy;
  Duration lease_floor = std::chrono::milliseconds{250};
  double lease_factor = 4.0;  // lease = max(floor, factor * the stream's body p99)
  // No lease is longer, whatever a client says of its bodies: nobody waits longer than this either.
  Duration lease_ceiling = std::chrono::seconds{60};
  // A stream counts as active, and so as a rival for cores, this long after its last body.
  Duration active_window = std::chrono::seconds{1};
  // A stream that has had a device without cores to itself for so long may begin bodies there
  // without waiting for an answer (TurnRequested::exclusive). 0: never.
  Duration exclusive_after{};
};

class Engine {
 public:
  // Error: no devices, an unknown policy, a concurrency out of 0..1024 (0: the default, one turn
  // per core on a CPU device, one on others).
  static Result<Engine> Create(EngineConfig config);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  // Applies one event at `now`; leases that ended by then are expired first. Events that make no
  // sense (an unknown client, a seq released twice, an unknown device) change nothing but a
  // counter: no client can hurt the engine. The returned actions must be carried out in order.
  std::vector<Action> Step(const Event& event, TimePoint now);
  // The same, appending to a vector that the caller keeps: no allocation once it has grown.
  void Step(const Event& event, TimePoint now, std::vector<Action>* actions);

  // When Step(Tick{}) is due next: the earliest lease end or moment a policy waits for, or kNever.
  TimePoint NextDeadline() const;

  // Views for status; valid until the next Step.
  const std::map<ClientId, Stream>& streams() const;
  std::span<const DeviceState> devices() const;
  // The device's integrals at `now`, no earlier than the last Step: to look needs no Step.
  DeviceTimes TimesAt(DeviceId device, TimePoint now) const;
  const PolicySpec& policy() const;
  // Events that made no sense and concern no known stream; the rest are in StreamCounters::invalid.
  std::uint64_t invalid_events() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stagger::core
