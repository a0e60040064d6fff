// What placement is about: streams that need a rate, devices of some speed and memory, and a plan
// that says which serves which. Plain values, for the command line and the daemon alike. Pure.
//
// On a device of speed s all phases of a stream take 1/s of their time at speed 1, exactly: nothing
// is added. A stream whose whole inference takes longer than its period is split: of g parts each
// serves every g-th frame, on a device of its own, and pays the stream's memory there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "admission/admission.h"
#include "base/time.h"

namespace stagger::placement {

// What a device takes: inferences that are sent to it, or whole apps. One of no kind, as in a plan
// that nobody applies, takes all.
enum class DeviceKind : std::uint8_t { kAny, kExecutor, kGpu };

struct StreamNeed {
  std::string name;
  std::string app;      // what `name` is a copy of; said where a device has room for more
  double fps = 0;       // > 0
  Duration pre{};       // at speed 1, as are
  Duration body{};      // > 0
  Duration post{};      //
  Duration deadline{};  // from a frame to its result; 0: until its part's next frame
  double memory_gb = 0;
  DeviceKind kind = DeviceKind::kAny;  // that it can be on
  int most_parts = 0;                  // it can be split in; 0: in as many as it must
  Duration load{};                     // of its model, at speed 1; 0: not known
  friend bool operator==(const StreamNeed&, const StreamNeed&) = default;
};

struct PlanDevice {
  std::string name;
  double speed = 1;      // > 0
  double memory_gb = 0;  // 0: not stated, so not a limit
  DeviceKind kind = DeviceKind::kAny;
  friend bool operator==(const PlanDevice&, const PlanDevice&) = default;
};

struct PlacementProblem {
  std::vector<StreamNeed> streams;
  std::vector<PlanDevice> devices;
};

// By index into the problem's devices: one per part, all different; empty: not placed.
using PlacedOn = std::vector<std::uint32_t>;

struct Plan {
  std::vector<PlacedOn> streams;  // as the problem's
};

inline bool Suits(DeviceKind need, DeviceKind device) {
  return need == device || need == DeviceKind::kAny || device == DeviceKind::kAny;
}

inline bool MaySplit(const StreamNeed& need, int parts) {
  return need.most_parts == 0 || parts <= need.most_parts;
}

// A stream's inference on a device of that speed, alone: pre, body and post.
Duration CycleOn(const StreamNeed& need, double speed);

// Parts so that each has time for its inferences: the least g with cycle <= g / fps.
int PartsOn(const StreamNeed& need, double speed);

// One of `parts` parts, as the admission test takes it: period g / fps, and the body due the
// frame's deadline less pre and post. A frame that comes while its part's last one is under way
// would be lost, so a deadline after the next frame counts as that. Rounded to whole ns against the
// stream. nullopt: even alone it would be late, or lose frames.
// `loading`: as on a device that swaps: its model may have to be loaded first, each time.
std::optional<admission::Task> PartOn(const StreamNeed& need, int parts, double speed,
                                      bool loading = false);

// A device whose memory is short of all its streams' models *swaps*: the executor unloads the model
// least recently needed and loads it again when it is needed, which blocks the device. Since any
// may have been unloaded, each stream's body counts as load + body there; each model must find the
// memory by itself. Only where all of them say what a load takes, and never where apps hold their
// models themselves.
bool MaySwap(const StreamNeed& need, DeviceKind device);

// Sums of memory may be off by rounding, by so much.
inline constexpr double kMemorySlack = 1e-9;

// The first thing wrong with a plan, found without what made it: a device named twice for a stream,
// a part that cannot keep its rate, a device over its memory, one that fails the exact test.
// Streams that are not placed are no fault. nullopt: none.
std::optional<std::string> FaultOf(const PlacementProblem& problem, const Plan& plan);

// The tasks of a device under a plan, and whose each is.
struct DeviceTasks {
  std::vector<admission::Task> tasks;
  std::vector<std::uint32_t> streams;
  double memory_gb = 0;
  bool swaps = false;  // the tasks' bodies hold their loads, and one model at a time finds memory
};
std::vector<DeviceTasks> TasksOf(const PlacementProblem& problem, const Plan& plan);

// Whether they all end in time there, and find its memory.
bool Passes(const PlanDevice& device, const DeviceTasks& serves);

std::size_t DevicesUsed(const Plan& plan);
std::size_t StreamsPlaced(const Plan& plan);

}  // namespace stagger::placement
