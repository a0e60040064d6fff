// What plans are measured against: the usual heuristic, and the least number of devices there is.
#pragma once

#include <cstdint>
#include <optional>

#include "placement/model.h"

namespace stagger::sim {

// First-fit decreasing on utilisation, as is usual: the heaviest stream first, each on the first
// device with room by utilisation <= 1 and by memory. It asks no admission test.
placement::Plan FirstFitDecreasing(const placement::PlacementProblem& problem);

struct Optimum {
  std::uint32_t devices = 0;
  std::uint64_t patterns = 0;  // that the integer program chose among; 0: its bound was enough
};

// The least number of devices that serve all streams, every one within the exact test and its
// memory, splits as MakePlan makes them. Proven: all patterns that a better plan than one of
// `upper` devices could use, given the duals of the linear program, go into an integer program for
// Cbc. nullopt: not proven within `most_patterns` and `most_seconds`, or nothing places all.
std::optional<Optimum> LeastDevices(const placement::PlacementProblem& problem, std::uint32_t upper,
                                    std::size_t most_patterns, double most_seconds);

}  // namespace stagger::sim
