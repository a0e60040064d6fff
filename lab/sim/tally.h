// What a leg of a simulation counts. Tallies of separate runs add up to the same figures in any
// order, so runs can go in parallel.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace stagger::sim {

// Durations by size, each bucket 0.1 % wide, with exact least, greatest and mean. A quantile is the
// middle of its bucket: at most 0.05 % off, whatever the number of samples.
class Histogram {
 public:
  void Add(Duration sample);
  void Merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  Duration min() const { return min_; }
  Duration max() const { return max_; }
  double mean_ns() const;
  // Nearest rank, q in [0, 1]; 0 when empty.
  Duration Quantile(double q) const;

 private:
  std::uint64_t count_ = 0;
  __int128 sum_ = 0;
  Duration min_{};
  Duration max_{};
  std::vector<std::uint32_t> buckets_;  // grown to the greatest sample
};

struct Tally {
  std::int64_t frames = 0;  // arrived while counted
  std::int64_t done = 0;
  std::int64_t drops = 0;
  std::int64_t skipped = 0;        // not taken, or answered with what was there, on purpose
  std::int64_t assigned_mfps = 0;  // 1/1000 fps: the rates in force at the end of each run
  std::int64_t late = 0;           // of done: after their deadline
  Histogram inference;             // call to return, waiting included
  Histogram latency;               // arrival to result
  Histogram body;                  // as long as it ran
  // Of the runs added so far; a run is one draw.
  double worst_draw_drop_ratio = 0;
  std::int64_t draws = 0;
  std::int64_t zero_drop_draws = 0;

  void Merge(const Tally& other);
  // The counts of one whole run are in: note its drop ratio.
  void EndDraw();
  double drop_ratio() const;
};

}  // namespace stagger::sim
