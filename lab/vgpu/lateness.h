// How late completions reached the apps, counted in steps that grow by the root of two. Pure.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/time.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

class Lateness {
 public:
  // Step 0 is up to 1 us, step i up to 2^(i/2) us, roughly.
  static std::size_t StepOf(Duration late) {
    for (std::size_t i = 0; i + 1 < kLateSteps; ++i) {
      if (late.count() <= UpperNs(i)) return i;
    }
    return kLateSteps - 1;
  }
  static std::int64_t UpperNs(std::size_t step) {
    const std::int64_t whole = std::int64_t{1000} << (step / 2);
    return step % 2 == 0 ? whole : whole * 1414 / 1000;
  }

  void Add(const LateRecord& record) {
    for (std::size_t i = 0; i < kLateSteps; ++i) counts_[i] += record.counts[i];
    if (record.max_ns > max_ns_) max_ns_ = record.max_ns;
  }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts_) sum += count;
    return sum;
  }
  // The upper end of the step in which the part `share` of all lies.
  Duration Quantile(double share) const {
    const double wanted = share * static_cast<double>(total());
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kLateSteps; ++i) {
      sum += counts_[i];
      if (static_cast<double>(sum) >= wanted && counts_[i] > 0) {
        return Duration{i + 1 == kLateSteps || UpperNs(i) > max_ns_ ? max_ns_ : UpperNs(i)};
      }
    }
    return max();
  }
  // The share that came later than the end of the step `late` is in.
  double ShareAbove(Duration late) const {
    std::uint64_t above = 0;
    for (std::size_t i = StepOf(late) + 1; i < kLateSteps; ++i) above += counts_[i];
    const std::uint64_t all = total();
    return all == 0 ? 0 : static_cast<double>(above) / static_cast<double>(all);
  }
  Duration max() const { return Duration{max_ns_}; }

 private:
  std::array<std::uint64_t, kLateSteps> counts_{};
  std::int64_t max_ns_ = 0;
};

}  // namespace stagger::vgpu
