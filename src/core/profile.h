// What was learned of a stream: how long the phases of its inferences take, how much of the device
// its bodies fill, and how sure that is. Pure.
#pragma once

#include <cstdint>

#include "core/sample_window.h"
#include "core/stream.h"

namespace stagger::core {

struct PhaseEstimate {
  Duration mean{};
  Duration p99{};
  std::uint64_t samples = 0;  // ever; the figures are of the most recent ones
  // 0 to 1: one less half the width of the mean's 95 % interval, as a share of the mean. 0 with
  // fewer than eight samples.
  double confidence = 0;
};

PhaseEstimate EstimateOf(const SampleWindow& samples);

struct Profile {
  PhaseEstimate pre;     // from the call to the body's request; not the wait for the turn
  PhaseEstimate body;    // alone on the device, where it has been seen alone; hand-off included
  PhaseEstimate post;    // from the body's end to the call's return
  double occupancy = 1;  // of the device
  double occupancy_confidence = 0;
  std::uint32_t overlaps = 0;  // bodies seen beside others, which the occupancy comes from
};

Profile ProfileOf(const Stream& stream);

}  // namespace stagger::core
