#include "core/concurrency_tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include "core/policies.h"

namespace stagger::core {
namespace {

constexpr int kStreams = 12;

// A device that does a known number of inferences a second under each limit.
class Device {
 public:
  explicit Device(std::map<int, double> rates) : rates_(std::move(rates)) {}

  double RateAt(int limit) const {
    const auto found = rates_.lower_bound(limit);
    return found == rates_.end() ? rates_.rbegin()->second : found->second;
  }

  // Runs on for some blocks; what was done in each.
  void Play(int blocks) {
    const TimePoint end = tuner_.next() + ConcurrencyTuner::kBlock * blocks;
    while (tuner_.next() < end) {
      const double done = RateAt(tuner_.limit()) / ConcurrencyTuner::kParts + left_;
      left_ = done - std::floor(done);
      for (int i = 0; i < static_cast<int>(done); ++i) tuner_.Ended(true);
      done_ += std::floor(done);
      free_ += RateAt(kMaxConcurrency) / ConcurrencyTuner::kParts;
      tuner_.Advance(tuner_.next(), {.streams = kStreams});
      if (++parts_ >= 20 * ConcurrencyTuner::kParts) worst_ = std::min(worst_, done_ / free_);
    }
  }

  std::map<int, double> rates_;
  ConcurrencyTuner tuner_{TimePoint{}, {.streams = kStreams}};
  double left_ = 0;
  double done_ = 0;
  double free_ = 0;   // what uncontrolled would have done
  double worst_ = 2;  // done_ / free_ at any time after the twentieth block
  int parts_ = 0;
};

// Rates of the scenarios auto_*.yaml under limits 1 2 3 4 6 8 and none.
Device Made(double r1, double r2, double r3, double r4, double r6, double r8, double none) {
  return Device({{1, r1}, {2, r2}, {3, r3}, {4, r4}, {6, r6}, {8, r8}, {kMaxConcurrency, none}});
}

TEST(ConcurrencyTuner, BeginsUncontrolled) {
  EXPECT_EQ(ConcurrencyTuner(TimePoint{}, {}).limit(), kMaxConcurrency);
}

TEST(ConcurrencyTuner, FindsThatOneAtATimeIsBest) {
  Device device = Made(200, 190, 170, 160, 140, 140, 140);
  device.Play(300);
  EXPECT_GE(device.done_, 0.97 * 300 * 200);
  EXPECT_GE(device.worst_, 1.0);
}

TEST(ConcurrencyTuner, FindsALimitBetween) {
  Device device = Made(248, 487, 707, 904, 819, 740, 686);
  device.Play(300);
  EXPECT_EQ(device.tuner_.limit(), 4);
  EXPECT_GE(device.done_, 0.97 * 300 * 904);
}

TEST(ConcurrencyTuner, CostsLittleWhereNoLimitHelps) {
  Device device = Made(249, 500, 750, 1000, 1499, 1712, 1714);
  device.Play(1000);
  EXPECT_GE(device.done_, 0.985 * device.free_);
  EXPECT_GE(device.worst_, 0.94);
}

TEST(ConcurrencyTuner, NoticesThatSomethingElseRuns) {
  Device device = Made(248, 487, 707, 904, 819, 740, 686);
  device.Play(200);
  device.rates_ = Made(249, 500, 750, 1000, 1499, 1712, 1714).rates_;
  const double before = device.done_;
  device.Play(100);
  EXPECT_GE(device.done_ - before, 0.9 * 100 * 1714);
}

TEST(ConcurrencyTuner, LateInferencesDoNotCount) {
  ConcurrencyTuner tuner{TimePoint{}, {}};
  // Uncontrolled everything is late; under any limit half is.
  for (int part = 0; part < 40 * ConcurrencyTuner::kParts; ++part) {
    for (int i = 0; i < 20; ++i) tuner.Ended(tuner.limit() < kMaxConcurrency && i % 2 == 0);
    tuner.Ended(true);
    tuner.Advance(tuner.next(), {.streams = kStreams});
  }
  EXPECT_LT(tuner.limit(), kMaxConcurrency);
}

TEST(ConcurrencyTuner, APauseIsNoReasonToThinkAnew) {
  Device device = Made(200, 190, 170, 160, 140, 140, 140);
  device.Play(100);
  const int limit = device.tuner_.limit();
  EXPECT_EQ(limit, 1);
  EXPECT_FALSE(
      device.tuner_.Advance(device.tuner_.next() + std::chrono::hours{1}, {.streams = kStreams}));
  EXPECT_EQ(device.tuner_.limit(), limit);
}

// Streams that state their rates: all of them kept under the usual limit.
constexpr ConcurrencyTuner::Load kPaced{.streams = kStreams, .safe = 2};

TEST(ConcurrencyTuner, WhereRatesAreStatedItStartsFromTheSafeLimitAndStaysWhileNobodyIsLate) {
  ConcurrencyTuner tuner{TimePoint{}, kPaced};
  for (int part = 0; part < 300 * ConcurrencyTuner::kParts; ++part) {
    ASSERT_EQ(tuner.limit(), 2);
    for (int i = 0; i < 20; ++i) tuner.Ended(true);
    tuner.Advance(tuner.next(), kPaced);
  }
}

TEST(ConcurrencyTuner, WhereRatesAreStatedItLooksForMoreWhenWhatIsAskedDoesNotFit) {
  ConcurrencyTuner tuner{TimePoint{}, kPaced};
  ConcurrencyTuner::Load load = kPaced;
  for (int part = 0; part < 100 * ConcurrencyTuner::kParts; ++part) {
    load.exceeds = tuner.limit() < 4;  // the device does ten a part for each up to four at once
    for (int i = 0; i < 10 * std::min(tuner.limit(), 4); ++i) tuner.Ended(true);
    tuner.Advance(tuner.next(), load);
  }
  EXPECT_EQ(tuner.limit(), 4);
}

TEST(ConcurrencyTuner, AStatedRateEndsTheSearchAtOnce) {
  ConcurrencyTuner tuner{TimePoint{}, {}};
  EXPECT_TRUE(tuner.Advance(tuner.next(), kPaced));
  EXPECT_EQ(tuner.limit(), 2);
}

TEST(ConcurrencyTuner, NothingDoneTeachesNothing) {
  ConcurrencyTuner tuner{TimePoint{}, {}};
  for (int part = 0; part < 100 * ConcurrencyTuner::kParts; ++part) {
    tuner.Advance(tuner.next(), {.streams = kStreams});
  }
  EXPECT_EQ(tuner.limit(), kMaxConcurrency);
}

}  // namespace
}  // namespace stagger::core
