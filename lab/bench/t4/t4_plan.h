// The legs of `stagger bench t4`: the paper's experiment, and what it is compared with. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/bench/t4/cuda_leg.h"
#include "lab/legs/leg_run.h"
#include "lab/vgpu/model.h"

namespace stagger::cli {

struct T4Settings {
  double seconds = 20;
  std::uint64_t seed = 1;  // of the phases
};

// In the order in which they are shown.
std::vector<std::string> T4LegNames();

// What is measured for a leg: the leg itself, or, where a percentage is to be chosen, one run per
// percentage tried, called "sync-percentage 25".
std::vector<std::string> T4Variants(const std::string& leg);

// `variant` is one of T4Variants(); the same repeat has the same phases in all legs.
CudaLegPlan T4Plan(const std::string& variant, const T4Settings& settings, int repeat,
                   const vgpu::Model& model);

// The percentage in a variant's name; 0: none.
int PercentageOf(const std::string& variant);

// Of a leg's variants the best: fewest drops, then most inferences, then the shortest, by medians.
// After trying them a user would keep that one. `runs` has all of them.
std::string BestVariant(const std::vector<std::string>& variants, const LegRuns& runs);

}  // namespace stagger::cli
