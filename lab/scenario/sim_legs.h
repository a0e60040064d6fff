// What `stagger sim` shows: a simulation's outcome in the form that every leg has; how many streams
// of one kind an executor serves without a miss; and the paper's figures beside the model's.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/legs/leg.h"
#include "lab/sim/scenario.h"
#include "lab/sim/simulate.h"

namespace stagger::cli {

struct SimLeg {
  Leg leg;
  double worst_draw_drop_ratio = 0;
  double zero_drop_draws_ratio = 0;    // of the draws
  std::optional<double> fps_assigned;  // of a draw, at its end; none where a frame is always ready
};

// The first one, `all`, covers every stream; one more per stream name where there are several.
std::vector<SimLeg> SimLegs(const sim::Scenario& scenario, const sim::Outcome& outcome);

nlohmann::ordered_json ToJson(const SimLeg& leg);
std::string ToText(const std::vector<SimLeg>& legs);

// `--most-streams`.
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

// `stagger sim paper`: the GPU model fitted to the paper's Table 2, and what it predicts. Prints to
// stdout; an exit code.
int SimPaper(std::uint64_t seed, bool as_json);

}  // namespace stagger::cli
