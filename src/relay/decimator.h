// Which frames of a source to pass on so that F per second come out, evenly spaced. Pure: decides
// from the frames' own times only, so it cannot drift; frame n is due at anchor + n / F, worked out
// anew for each n. One thread at a time. Must never read a clock, and never asks for a frame twice:
// a source slower than F passes as it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace stagger::relay {

class Decimator {
 public:
  explicit Decimator(double fps) : fps_(fps) {}

  // Whether the frame of time `at` goes on. Of a source faster than F that is the frame nearest to
  // each due time. Times may jitter. A time that lies before the last one starts the count anew.
  bool Take(TimePoint at);

 private:
  // The time of the n-th frame to pass since the anchor.
  TimePoint Due(std::int64_t n) const;
  void Observe(TimePoint at);
  // Mean time between the source's latest frames, an outage counting as 1 / F.
  Duration Interval() const;

  static constexpr std::size_t kWindow = 32;

  double fps_;
  bool started_ = false;
  TimePoint anchor_;
  TimePoint last_;
  std::int64_t next_ = 0;
  std::array<Duration, kWindow> intervals_{};  // a ring of the latest ones
  std::size_t observed_ = 0;
};

}  // namespace stagger::relay
