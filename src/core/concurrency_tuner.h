// Finds how many bodies may run at once on one device: `concurrency: auto`. Where bodies fill the
// device one at a time is best, where they don't a limit only costs, and what is best changes with
// what runs. So it measures: it starts uncontrolled, tries limits for a block of time each, keeps
// the one under which most inferences were done in time, and tries others again now and then.
//
// Learning must not cost more than kMostLoss: a trial begins only while what was done so far, less
// the most the trial can cost, stays above 1 - kMostLoss of what uncontrolled would have done (the
// rule of conservative bandits: Wu, Shariff, Lattimore, Szepesvari 2016), and a trial that falls
// behind is cut short.
//
// Where streams state the rates they need, no frame may be lost for the sake of learning: there it
// starts from a safe limit, measures against that, and tries others only while frames are late or
// the work does not fit.
//
// Pure: the engine tells it the time and what was done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace stagger::core {

class ConcurrencyTuner {
 public:
  static constexpr Duration kBlock = std::chrono::seconds{1};
  static constexpr int kParts = 8;  // of a block; a trial can be cut short after each
  static constexpr double kMostLoss = 0.05;

  struct Load {
    int streams = 0;       // how many use the device; higher limits make no sense
    int safe = 0;          // where to start from; 0: from no limit
    bool exceeds = false;  // what is asked for does not fit under the limit in force
  };

  // `now`: the first block begins.
  ConcurrencyTuner(TimePoint now, const Load& load);

  // The limit in force. kMaxConcurrency: uncontrolled.
  int limit() const { return arms_[playing_].limit; }
  // What the limit is: "trial", "best so far", ...
  const char* why() const;

  bool trying() const { return phase_ == Phase::kTrial; }

  // One inference ended; `in_time`: it had no deadline, or met it.
  void Ended(bool in_time) { ++(in_time ? done_ : late_); }
  // When Advance is due next.
  TimePoint next() const { return part_end_; }
  // Closes what ended by `now`. True if limit() changed.
  bool Advance(TimePoint now, const Load& load);

 private:
  struct Arm {
    int limit;
    double rate = 0;    // in-time inferences a second, the mean over its blocks
    double weight = 0;  // blocks in that mean, at most kMemory; 0: never tried
  };
  enum class Phase : std::uint8_t { kBaseline, kTrial, kBest };

  Arm& playing() { return arms_[playing_]; }
  void Restart();
  bool WorthTrying() const;
  void Next();
  void QueueSweep();
  void QueueNeighbours();
  void QueueRivals();
  bool Learn(double rate);
  bool FallsBehind(double seconds) const;
  bool Affordable(const Arm& arm) const;
  std::size_t Best() const;
  void Play(std::size_t arm, Phase phase);

  std::vector<Arm> arms_;  // by limit, ascending; the last is uncontrolled
  std::size_t playing_ = 0;
  std::size_t best_ = 0;
  std::size_t base_ = 0;  // what learning must not fall behind: the safe limit, or none
  Phase phase_ = Phase::kBaseline;
  std::vector<std::size_t> trials_;  // to come, the next one last
  Load load_;
  int streams_ = 0;           // the limits in arms_ are for so many
  bool late_before_ = false;  // in the last block more than a few were late
  int blocks_ = 0;            // since the start or the last restart
  int odd_blocks_ = 0;        // in a row in which the best arm did other than it used to
  double sum_ = 0;            // in-time inferences in those blocks
  double time_ = 0;           // seconds
  // The block under way.
  int part_ = 0;
  TimePoint part_end_;
  bool settling_ = false;  // the limit has just changed: its first part says nothing of it
  std::int64_t done_ = 0;
  std::int64_t late_ = 0;
  std::int64_t settled_done_ = 0;  // of done_: in the part that says nothing
};

}  // namespace stagger::core
