#include "core/occupancy.h"

#include <algorithm>
#include <cmath>

namespace stagger::core {
namespace {

constexpr double kLeast = 0.02;       // of a device, and of a body beside others to learn from it
constexpr double kNoise = 0.05;       // bodies vary: no more than that says "not slowed down"
constexpr double kMostSlowdown = 64;  // beyond that it was stopped, not slowed down
constexpr double kStep = 0.25;        // of what it missed by
constexpr double kMemory = 20;
constexpr std::uint32_t kSeen = 8;

double Ns(Duration d) { return static_cast<double>(d.count()); }

}  // namespace

double OccupancyEstimate::confidence() const {
  return samples_ < kSeen ? 0 : std::clamp(1 - miss_, 0.0, 1.0);
}

void OccupancyEstimate::Learn(Duration alone, Duration held, Duration beside, double others) {
  if (alone <= Duration{} || beside <= Duration{} || !(others > 0)) return;
  if (Ns(beside) < 0.2 * Ns(held)) return;  // too short to tell
  // What was left of its work when it was by itself, it did at full speed.
  const double work = Ns(alone) - Ns(held - beside);
  const double slowdown = work > Ns(beside) / kMostSlowdown ? Ns(beside) / work : kMostSlowdown;
  const double believed = value_ + others;
  // Bodies that do not slow each other down fit; how much room is left they do not say.
  const double seen =
      slowdown > 1 + kNoise ? std::min(slowdown, 1 + others) : std::min(1.0, believed);
  const double missed = seen - believed;
  // The others learn from the same, each its share.
  value_ = std::clamp(value_ + kStep * missed * value_ / believed, kLeast, 1.0);
  ++samples_;
  const double memory = std::min<double>(samples_, kMemory);
  miss_ += (std::abs(missed) / seen - miss_) / memory;
}

}  // namespace stagger::core
