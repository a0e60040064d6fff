// What came in and what went on. Added to on the source's thread, read at the end and by the main
// thread; locked inside.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/time.h"

namespace stagger::relay {

struct Flow {
  std::int64_t frames = 0;
  TimePoint first;
  TimePoint last;

  void Add(TimePoint at);
  // From the first frame to the last; 0 with fewer than two.
  double fps() const;
};

struct Counts {
  Flow in;
  Flow out;
  std::int64_t skipped() const { return in.frames - out.frames; }
};

class Tally {
 public:
  explicit Tally(double fps) : fps_(fps) {}

  void Add(TimePoint at, bool passed);
  Counts counts() const;

  // The source's rate, where it is lower than what is asked for; once, after a few seconds.
  // An outage does not count against it.
  std::optional<double> NewlySlow();

 private:
  const double fps_;
  mutable std::mutex mutex_;
  Counts counts_;
  Duration longest_{0};  // between two frames
  bool judged_ = false;
};

}  // namespace stagger::relay
