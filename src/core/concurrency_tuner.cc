#include "core/concurrency_tuner.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/policies.h"

namespace stagger::core {
namespace {

constexpr int kBaselineBlocks = 10;
constexpr double kMemory = 30;     // blocks: older ones fade
constexpr int kRetryEvery = 60;    // blocks: uncontrolled and the neighbours of the best
constexpr int kSweepEvery = 240;   // blocks: all limits
constexpr double kRival = 0.9;     // of the best rate: worth telling apart from it
constexpr double kSure = 8;        // blocks of a rival, after which it needs no more
constexpr double kBetter = 1.01;   // a new best must be that much better: ties stay as they are
constexpr double kOdd = 0.08;      // away from what the best arm used to do
constexpr int kOddBlocks = 2;      // in a row: something else runs now
constexpr double kFewLate = 0.01;  // of all: no reason to try another limit
constexpr Duration kPart = ConcurrencyTuner::kBlock / ConcurrencyTuner::kParts;
constexpr double kPartSeconds = static_cast<double>(kPart.count()) / 1e9;
// A trial shows that it falls behind within these: the most that it can cost.
constexpr double kCutSeconds = 2 * kPartSeconds;

}  // namespace

ConcurrencyTuner::ConcurrencyTuner(TimePoint now, const Load& load)
    : load_(load), part_end_(now + kPart) {
  Restart();
}

const char* ConcurrencyTuner::why() const {
  switch (phase_) {
    case Phase::kBaseline:
      return load_.safe > 0 ? "measuring what the usual limit gives"
                            : "measuring what no limit gives";
    case Phase::kTrial:
      return "trying another limit";
    case Phase::kBest:
      return "the best limit found";
  }
  return "";
}

void ConcurrencyTuner::Restart() {
  const int before = arms_.empty() ? 0 : limit();
  arms_.clear();
  // Limits on a grid about as fine as one can tell apart: 1 2 3 4 6 8 12 16 24 ...
  for (int limit = 1; limit < std::min(load_.streams, kMaxConcurrency);
       limit += limit < 4 ? 1 : 1 << (std::bit_width(static_cast<unsigned>(limit)) - 2)) {
    arms_.push_back({limit});
  }
  arms_.push_back({kMaxConcurrency});
  base_ = arms_.size() - 1;
  if (load_.safe > 0) {
    const auto place = std::ranges::lower_bound(arms_, load_.safe, {}, &Arm::limit);
    base_ = static_cast<std::size_t>(place - arms_.begin());
    if (place->limit != load_.safe) arms_.insert(place, {load_.safe});
  }
  streams_ = load_.streams;
  trials_.clear();
  late_before_ = false;
  blocks_ = odd_blocks_ = 0;
  sum_ = time_ = 0;
  best_ = base_;
  playing_ = best_;
  Play(best_, Phase::kBaseline);
  settling_ = limit() != before;
}

bool ConcurrencyTuner::Advance(TimePoint now, const Load& load) {
  const int before = limit();
  if (now < part_end_) return false;
  const bool other_start = load.safe != load_.safe;
  load_ = load;
  if (other_start || now >= part_end_ + kPart) {
    // Nobody asked for a while, so there is no telling when in it things were done.
    if (other_start) Restart();
    done_ = late_ = settled_done_ = 0;
    part_ = 0;
    part_end_ = now + kPart;
    return limit() != before;
  }
  part_end_ = part_end_ + kPart;
  ++part_;
  if (part_ == 1 && settling_) settled_done_ = done_;
  const double measured = (part_ - (settling_ ? 1 : 0)) * kPartSeconds;
  const bool cut = phase_ == Phase::kTrial && part_ < kParts && FallsBehind(measured);
  if (part_ < kParts && !cut) return false;

  sum_ += static_cast<double>(done_);
  time_ += part_ * kPartSeconds;
  ++blocks_;
  const bool idle = done_ == 0;
  late_before_ = static_cast<double>(late_) > kFewLate * static_cast<double>(done_ + late_);
  const bool same_load = Learn(static_cast<double>(done_ - settled_done_) / measured);
  done_ = late_ = settled_done_ = 0;
  part_ = 0;
  settling_ = false;
  if (idle && phase_ != Phase::kTrial) return false;
  if (!same_load || load_.streams != streams_) {
    Restart();
  } else {
    Next();
  }
  return limit() != before;
}

// False if the best arm no longer does what it did: what runs has changed.
bool ConcurrencyTuner::Learn(double rate) {
  Arm& arm = playing();
  bool odd = false;
  if (phase_ == Phase::kBest) {
    const double noise = 3 * std::sqrt(std::max(arm.rate, 1.0));
    odd = std::abs(rate - arm.rate) > std::max(kOdd * arm.rate, noise);
    odd_blocks_ = odd ? odd_blocks_ + 1 : 0;
  }
  if (odd) return odd_blocks_ < kOddBlocks;
  arm.rate = (arm.rate * arm.weight + rate) / (arm.weight + 1);
  arm.weight = std::min(arm.weight + 1, kMemory);
  return true;
}

bool ConcurrencyTuner::FallsBehind(double seconds) const {
  if (seconds <= 0) return false;
  const double expected = arms_[best_].rate * seconds;
  const double done = static_cast<double>(done_ - settled_done_);
  // Counts scatter by about the root of what is expected; a few frames more or less prove nothing.
  return done + 2 * std::sqrt(expected) + 1 < kRival * expected;
}

void ConcurrencyTuner::Next() {
  if (phase_ == Phase::kBaseline && blocks_ < kBaselineBlocks) return;
  const std::size_t best_before = best_;
  best_ = Best();
  if (load_.safe > 0) {
    // Step by step, as long as each step is for the better: a wrong one makes frames late.
    const bool due = blocks_ == kBaselineBlocks || blocks_ % kSweepEvery == 0;
    if (due || best_ != best_before) QueueNeighbours();
    if (!WorthTrying()) trials_.clear();
  } else if (trials_.empty()) {
    if (blocks_ == kBaselineBlocks || blocks_ % kSweepEvery == 0) {
      QueueSweep();
    } else if (blocks_ % kRetryEvery == 0) {
      QueueNeighbours();
    } else {
      QueueRivals();
    }
  }
  if (!trials_.empty() && Affordable(arms_[trials_.back()])) {
    const std::size_t arm = trials_.back();
    trials_.pop_back();
    return Play(arm, Phase::kTrial);
  }
  Play(best_, Phase::kBest);
}

// Where rates are stated and all of them are kept, there is nothing to be gained.
bool ConcurrencyTuner::WorthTrying() const {
  return load_.safe == 0 || load_.exceeds || late_before_;
}

void ConcurrencyTuner::QueueSweep() {
  for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
    if (arm != best_) trials_.push_back(arm);  // the highest first: it costs least to be wrong
  }
}

void ConcurrencyTuner::QueueNeighbours() {
  trials_.clear();
  if (best_ > 0) trials_.push_back(best_ - 1);
  if (best_ + 1 < arms_.size()) trials_.push_back(best_ + 1);
  if (best_ + 2 < arms_.size() && load_.safe == 0) trials_.push_back(arms_.size() - 1);
}

// Limits too close to the best to call after the few blocks they had.
void ConcurrencyTuner::QueueRivals() {
  for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
    const Arm& rival = arms_[arm];
    if (arm != best_ && rival.weight > 0 && rival.weight < kSure &&
        rival.rate > kRival * arms_[best_].rate) {
      trials_.push_back(arm);
    }
  }
}

bool ConcurrencyTuner::Affordable(const Arm& arm) const {
  const double base = arms_[base_].rate;
  // An arm never tried may do nothing at all until it is cut.
  const double length = static_cast<double>(kBlock.count()) / 1e9;
  const double gain = arm.weight > 0 ? arm.rate * length : base * (length - kCutSeconds);
  return sum_ + gain >= (1 - kMostLoss) * base * (time_ + length);
}

std::size_t ConcurrencyTuner::Best() const {
  std::size_t best = best_;
  for (std::size_t arm = 0; arm < arms_.size(); ++arm) {
    if (arms_[arm].weight > 0 && arms_[arm].rate > kBetter * arms_[best].rate) best = arm;
  }
  return best;
}

void ConcurrencyTuner::Play(std::size_t arm, Phase phase) {
  settling_ = arm != playing_;
  playing_ = arm;
  phase_ = phase;
  if (phase != Phase::kBest) odd_blocks_ = 0;
}

}  // namespace stagger::core
