// Whether a model's items can share a batch: found by running it, not by believing its shapes.
#pragma once

#include <vector>

#include "executor/backend.h"

namespace stagger::executor {

// The first dimension of every input and output has one name of its own, and all others are fixed.
bool IsBatchShaped(const std::vector<Port>& inputs, const std::vector<Port>& outputs);

// Runs two items alone and together: true if both ways give the same, within 1e-5 of the largest.
bool TryBatch(Model& model);

}  // namespace stagger::executor
