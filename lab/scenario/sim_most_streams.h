// How many streams of one kind an executor serves without a miss, in simulation: batched and one
// after the other.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "lab/sim/scenario.h"

namespace stagger::cli {

struct MostStreams {
  int serial = 0;   // max_batch 1
  int batched = 0;  // as the scenario says
  double ratio() const;
};

// The largest n such that with 1, 2 ... n streams no frame of any draw is dropped or late. An error
// if the scenario is not streams of one group on one executor, with deadlines.
Result<MostStreams> FindMostStreams(const sim::Scenario& scenario, std::uint64_t seed,
                                    unsigned threads);

// NVIDIA's published SSD320 on a V100, FP32 (images per second at batch 1, 2, 4, 8), as cameras at
// `fps` whose frames are due within 1 / fps: what scenarios/ssd_batched_*.yaml have.
sim::Scenario SsdCameras(double fps);

}  // namespace stagger::cli
