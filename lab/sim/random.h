// Random numbers, and random phases of streams, that are the same on every machine and library: the
// standard's distributions are not.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace stagger::sim {

// SplitMix64 (Steele, Lea, Flood 2014): one word of state, any seed is good.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Uniform in [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  // Standard normal, by Box and Muller; the second of each pair is kept for the next call.
  double Normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    const double angle = 2 * std::numbers::pi * Uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  std::uint64_t state_;
  double spare_ = 0;
  bool has_spare_ = false;
};

// Random phases of several streams over many draws, spread more evenly than independent ones: what
// happens depends on how streams lie to each other, and an even spread needs fewer draws to tell.
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
