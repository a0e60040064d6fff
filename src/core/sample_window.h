// The most recent durations of one kind, with exact order statistics over the window.
// Add finds its place in O(log n) and moves what lies between (at most 2 KiB); order statistics
// are O(1), cheap enough to ask at every release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace stagger::core {

class SampleWindow {
 public:
  static constexpr std::size_t kCapacity = 256;

  void Add(Duration sample);

  std::uint64_t count() const { return count_; }  // ever added
  Duration total() const { return total_; }       // of all those
  bool empty() const { return sorted_.empty(); }
  Duration min() const;
  Duration max() const;
  Duration mean() const;
  // The standard deviation over the window; O(window), for reports.
  Duration Deviation() const;
  // Nearest-rank quantile over the window, q in [0,1]; 0 when empty.
  Duration Quantile(double q) const;

 private:
  std::vector<Duration> ring_;    // in order of arrival
  std::vector<Duration> sorted_;  // the same values, ascending
  std::size_t next_ = 0;
  std::uint64_t count_ = 0;
  Duration sum_{};    // of the window
  Duration total_{};  // of all
};

}  // namespace stagger::core
