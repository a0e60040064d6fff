// Random phases of several streams over many draws, spread more evenly than independent ones: what
// happens depends on how streams lie to each other, and an even spread needs fewer draws to tell.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "lab/sim/random.h"

namespace stagger::sim {

// The additive recurrence of Roberts 2018 ("R_d"): stream i moves on by root^-(i+1) of its period
// from draw to draw, root being the solution of x^(d+1) = x + 1 for d streams; every stream begins
// at a random place (Cranley and Patterson 1976).
class Phases {
 public:
  Phases(std::size_t streams, std::uint64_t seed) : seed_(Random(seed).Next()) {
    const double power = 1 / (static_cast<double>(streams) + 1);
    for (int i = 0; i < 64; ++i) root_ = std::pow(1 + root_, power);  // converges long before
  }

  // In [0, 1), of the stream's period.
  double Of(std::size_t stream, int draw) const {
    const double begin = Random(seed_ ^ stream).Uniform();
    const double step = std::pow(root_, -(static_cast<double>(stream) + 1));
    const double at = begin + (draw + 1) * step;
    return at - std::floor(at);
  }

 private:
  std::uint64_t seed_;
  double root_ = 2;
};

}  // namespace stagger::sim
