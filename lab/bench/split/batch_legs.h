// For `bench share`: apps with one model on one executor, saturated, batched and one by one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "lab/bench/split/frame_legs.h"

namespace stagger::cli {

struct BatchComparison {
  double serial_fps = 0;     // --max-batch 1
  double batched_fps = 0;    // as an executor does by itself
  double batched_ratio = 0;  // of the inferences of the second half: in batches
  bool same = false;         // every app's results as bare, within 1e-5
  std::vector<std::pair<int, double>> curve;
};

// `apps` runners of `model` on one core, their executor on the other; `seconds` each way.
Result<BatchComparison> CompareBatches(const std::string& model, int apps, double seconds,
                                       std::pair<int, int> cores, Workplace& place);

}  // namespace stagger::cli
