// How long the loop's steps took, by the wall clock and in the thread's own CPU time. A step is all
// that happens between two waits. Loop thread only; no I/O.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace stagger::daemon {

class LoopSteps {
 public:
  struct Measurements {
    std::uint64_t steps = 0;
    Duration max{};
    Duration p999{};  // an upper bound, at most an eighth too high
    Duration cpu_max{};
    Duration cpu_p999{};
  };

  void Took(Duration wall, Duration cpu);
  Measurements measurements() const;  // since the start

 private:
  // Counts by microseconds: eight buckets to each doubling.
  class Histogram {
   public:
    void Add(Duration took);
    Duration max() const { return max_; }
    Duration Quantile(double q) const;
    std::uint64_t count() const { return count_; }

   private:
    static constexpr std::size_t kPerDoubling = 8;
    static constexpr std::size_t kBuckets = kPerDoubling * 26;  // beyond a minute
    static std::size_t BucketOf(std::uint64_t us);
    static std::uint64_t EndOf(std::size_t bucket);

    std::array<std::uint64_t, kBuckets> counts_{};
    std::uint64_t count_ = 0;
    Duration max_{};
  };
  Histogram wall_;
  Histogram cpu_;
};

}  // namespace stagger::daemon
