// Who ran when on the virtual GPU, from its log (docs/virtual-gpu.md): the truth about bodies, for
// apps under control and others alike. Pure.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "console/percentile.h"

namespace stagger::cli {

// From the begin of a body's first kernel to the end of its last.
struct DeviceBody {
  std::uint64_t process = 0;
  TimePoint begin;
  TimePoint end;
  TimePoint ready{};        // when what the process had copied or filled for it was there
  TimePoint next = kNever;  // when the process's next operation began; kNever: there was none
};

// In the order in which they began. A body is kernels of class `body` of one process, up to the
// next of its copies or post kernels. Kernels that failed or were cut off are none. Error: a line
// that is no event, with its number.
Result<std::vector<DeviceBody>> ReadBodies(std::istream& log);

struct BodyFigures {
  std::optional<Distribution> body_ms;  // of bodies that began in the window
  // Of their time within the window, the share during which bodies of more than k processes ran.
  std::optional<double> overlap_ratio;
};

BodyFigures BodiesWithin(const std::vector<DeviceBody>& bodies, TimePoint begin, TimePoint end,
                         int k);

// From one app's body to another's, while the other was ready before the first one was over.
struct HandOver {
  Duration gap{};   // the device was idle; negative: they overlapped
  Duration body{};  // the one that followed
};
// Without the first `learning` bodies of each app.
std::vector<HandOver> HandOvers(const std::vector<DeviceBody>& bodies, int learning);

// One turn of a process: when it was asked for, when its body began, and when it was given back.
struct TurnTimes {
  std::int64_t process = 0;
  TimePoint asked;
  TimePoint begun;
  TimePoint over;  // zero: not known
};
// What agents write to $STAGGER_TURNS (docs/cuda.md). Lines that are no turns are passed over.
std::vector<TurnTimes> ReadTurns(std::istream& turns);
// What `cuda-camera --truth` writes, of one process: it asks as soon as its inference starts.
std::vector<TurnTimes> ReadTruth(std::istream& truth, std::int64_t process);

// From one app's giving back its turn to the first launch of the other one, which had asked for its
// turn before; without the first `learning` turns of each.
std::vector<Duration> Releases(std::vector<TurnTimes> turns, int learning);

}  // namespace stagger::cli
