// What a simulation runs: devices, streams and the policy between them. Plain values.
// lab/scenario/scenario_file.h reads the YAML of a scenario file, and fills in the defaults that
// depend on other fields. docs/scheduling.md explains the model behind sigma, w, g and demand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "core/events.h"

namespace stagger::sim {

// How bodies and post phases slow each other down on a device. With D the demands of the running
// bodies added up and T post phases running:
//   a body's slowdown is  max(1, D) * (1 + sigma * max(0, D - 1)) + w * T * min(1, D)
//   a post phase's is     1 + g * (number of running bodies)
struct DeviceModel {
  std::string name;
  double sigma = 0;
  double w = 0;
  double g = 0;
  double memory_gb = 0;  // 0: not stated
  friend bool operator==(const DeviceModel&, const DeviceModel&) = default;
};

// One app with one camera. `count: N` in a file makes N of these, all with the same `group`.
struct StreamModel {
  std::string name;   // "cam-1"; "cam" where count is 1
  std::string group;  // the name in the file: the leg it is reported in
  Duration period{};  // between inferences that are needed; 0: no rate is, nor do frames arrive
  // Between arriving frames, if that is not `period`; 0: one is ready as soon as the app is free.
  std::optional<Duration> camera_period{};
  Excess excess = Excess::kPace;  // what happens to calls beyond `period`
  std::optional<Duration>
      phase;  // first arrival after the start; none: uniform over frames' period
  Duration pre{};
  Duration body{};
  Duration post{};
  Duration app{};       // work after an inference, during which the app takes no frame
  double demand = 1;    // 0 < demand <= 1: how much of the device a body fills
  Duration deadline{};  // 0: none
  double weight = 1;
  double min_fps = 0;
  std::size_t device = 0;  // index into Scenario::devices
  // Index into Scenario::executors: its bodies run there, post follows in the app. `body` is what
  // one takes by itself.
  std::optional<std::size_t> executor;
  Duration start{};              // joins then
  std::optional<Duration> stop;  // and leaves then

  Duration frame_period() const { return camera_period.value_or(period); }
  friend bool operator==(const StreamModel&, const StreamModel&) = default;
};

// A process that runs what its streams send it, one batch at a time; the engine sees one stream.
struct ExecutorModel {
  std::string name;
  std::size_t device = 0;
  int max_batch = 1;                            // at most the largest of the curve
  std::vector<std::pair<int, Duration>> curve;  // what so many items take; from 1, ascending
  friend bool operator==(const ExecutorModel&, const ExecutorModel&) = default;
};

enum class Queue : std::uint8_t {
  kDrop,   // a frame that arrives while its app is busy is dropped
  kLatest  // the newest one waits; an older waiting one is dropped
};
enum class DeadlineFrom : std::uint8_t { kArrival, kCall };

struct Scenario {
  Duration length{};  // after the warm-up
  Duration warmup{};
  int draws = 1;  // runs with other phases and seeds, pooled
  core::PolicySpec policy;
  Duration handoff{};  // dead time of the device between two turns
  double jitter = 0;   // each body and post is multiplied by exp(j*z - j*j/2), z standard normal
  DeadlineFrom deadline_from = DeadlineFrom::kCall;
  Queue queue = Queue::kDrop;
  std::vector<DeviceModel> devices;
  std::vector<ExecutorModel> executors;
  std::vector<StreamModel> streams;
};

}  // namespace stagger::sim
