// What a virtual GPU's log says of bodies: when each ran, and what was left idle between two. Pure.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "base/time.h"

namespace stagger::cli {

// One app's kernels of class "body" that ran without a pause of 0.5 ms between them.
struct DeviceBody {
  int pid = 0;
  TimePoint begin;
  TimePoint end;
  TimePoint ready;  // when what the app had copied or filled for it was there
  TimePoint next;   // when the app's next operation began; kNever: there was none
};

// In the order in which they began. Lines that are no operation, or cut off, are passed over.
std::vector<DeviceBody> ReadBodies(std::istream& log);

// From one app's body to another's, while the other was ready before the first one was over.
struct HandOver {
  Duration gap{};   // the device was idle; negative: they overlapped
  Duration body{};  // the one that followed
};
// Without the first `learning` bodies of each app.
std::vector<HandOver> HandOvers(const std::vector<DeviceBody>& bodies, int learning);

}  // namespace stagger::cli
