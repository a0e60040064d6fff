// What the apps are written with.
#pragma once

#include <cstdint>

#include "apps.h"
#include "synthetic_app.h"

namespace stagger::phase {

inline constexpr int kFrames = 120;
inline constexpr std::uint64_t kImage = 300 * 300 * 3 * 4;

// Launches of a network: as real ones, blocks of a few kernels that come again and again.
void Network(Host& host, std::uint64_t model, int launches, double total_us);
// The same, as the body of the frame.
void Body(Host& host, std::uint64_t model, int launches, double total_us);
// The paper's: pre-processing and copies in, a 45 ms body of 160 launches, then small kernels
// between copies out, as many as there are detections.
void SsdFrame(Host& host, std::uint64_t model);

// A trace of one thread that does so for each frame, paced if `fps` is not 0.
template <typename OneFrame>
Trace Frames(std::uint64_t seed, OneFrame&& one, double fps = 0, int frames = kFrames,
             double preempted = 0.0002) {
  Trace trace;
  Host host(&trace, seed);
  host.preempted = preempted;
  const TimePoint start = host.now();
  for (int i = 0; i < frames; ++i) {
    if (fps > 0) host.Until(start + FromMs(1000.0 / fps * i));
    one(host, i);
  }
  SortByEntry(&trace);
  return trace;
}

}  // namespace stagger::phase
