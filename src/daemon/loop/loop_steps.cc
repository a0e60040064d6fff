#include "daemon/loop/loop_steps.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace stagger::daemon {

void LoopSteps::Took(Duration wall, Duration cpu) {
  wall_.Add(wall);
  cpu_.Add(cpu);
}

LoopSteps::Measurements LoopSteps::measurements() const {
  return {.steps = wall_.count(),
          .max = wall_.max(),
          .p999 = wall_.Quantile(0.999),
          .cpu_max = cpu_.max(),
          .cpu_p999 = cpu_.Quantile(0.999)};
}

// Up to 8 us one bucket per microsecond; from there the three bits after the leading one choose.
std::size_t LoopSteps::Histogram::BucketOf(std::uint64_t us) {
  if (us < kPerDoubling) return us;
  const auto shift = static_cast<unsigned>(std::bit_width(us)) - 4;
  const std::size_t bucket = kPerDoubling * (shift + 1) + ((us >> shift) - kPerDoubling);
  return std::min(bucket, kBuckets - 1);
}

std::uint64_t LoopSteps::Histogram::EndOf(std::size_t bucket) {
  if (bucket < kPerDoubling) return bucket + 1;
  const std::size_t shift = bucket / kPerDoubling - 1;
  return (kPerDoubling + bucket % kPerDoubling + 1) << shift;
}

void LoopSteps::Histogram::Add(Duration took) {
  took = std::max(took, Duration{});
  max_ = std::max(max_, took);
  ++count_;
  ++counts_[BucketOf(static_cast<std::uint64_t>(took.count()) / 1000)];
}

Duration LoopSteps::Histogram::Quantile(double q) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets && count_ > 0; ++bucket) {
    seen += counts_[bucket];
    if (seen < wanted) continue;
    const auto end = std::chrono::microseconds{static_cast<std::int64_t>(EndOf(bucket))};
    return std::min(Duration{end}, max_);
  }
  return max_;
}

}  // namespace stagger::daemon
