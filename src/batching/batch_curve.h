// How long a model takes for so many items at once, as seen: its batching curve. Sizes that ran are
// known from their last runs; sizes between two known ones are interpolated; beyond the largest
// nothing is known. The curve may go any way: four items may take less than three.
//
// Pure: used by an executor's thread and by the simulator.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/time.h"

namespace stagger::batching {

class BatchCurve {
 public:
  // What is known beforehand, as a published curve.
  static BatchCurve Known(std::span<const std::pair<int, Duration>> points);

  // One run of `items`. The first of a size tells nothing of the next ones: memory is laid out,
  // code is loaded. It only counts as tried.
  void Add(int items, Duration took);

  // Whether so many ran together at all.
  bool Tried(int items) const { return points_.contains(items); }
  // Enough runs of that very size, the last one not long ago: nothing to find out.
  bool Fresh(int items) const;
  // Median of the last runs, and the longest of them. None if neither known nor between known
  // sizes.
  std::optional<Duration> Typical(int items) const;
  std::optional<Duration> Longest(int items) const;

  struct Point {
    int items;
    Duration typical;
  };
  std::vector<Point> points() const;  // the known sizes, ascending

 private:
  struct Samples {
    std::vector<Duration> last;  // the newest at the end; empty: tried once
    std::uint64_t run = 0;       // number of its last run
  };
  template <typename Of>
  std::optional<Duration> Between(int items, Of of) const;

  std::map<int, Samples> points_;
  std::uint64_t runs_ = 0;
};

}  // namespace stagger::batching
