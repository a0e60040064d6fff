#include "base/slot_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace stagger {
namespace {

constexpr Duration kMs = std::chrono::milliseconds{1};
constexpr Duration kQuarter = 250 * kMs;
constexpr Duration kTenMinutes = std::chrono::minutes{10};
constexpr TimePoint kStart{std::chrono::hours{7}};

// The calls of an app that reads every frame of a camera, each up to `jitter` early or late.
std::vector<TimePoint> Calls(Duration length, int fps, Duration jitter, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<Duration::rep> off(-jitter.count(), jitter.count());
  std::vector<TimePoint> calls;
  for (std::int64_t i = 0; i * 1'000'000'000 < length.count() * fps; ++i) {
    calls.push_back(kStart + Duration{i * 1'000'000'000 / fps} + Duration{off(random)});
  }
  return calls;
}

std::vector<std::size_t> Taken(const std::vector<TimePoint>& calls, Duration period) {
  SlotClock clock;
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (clock.Take(calls[i], period)) taken.push_back(i);
  }
  return taken;
}

TEST(SlotClock, TakesExactlyFourOfEachThirtyCallsForTenMinutes) {
  for (const Duration jitter : {0 * kMs, 1 * kMs, 5 * kMs, 10 * kMs}) {
    for (unsigned seed = 1; seed <= 5; ++seed) {
      const auto taken = Taken(Calls(kTenMinutes, 30, jitter, seed), kQuarter);
      ASSERT_EQ(taken.size(), 2400u) << ToMs(jitter);
      std::vector<int> of_second(600);
      for (const std::size_t call : taken) ++of_second[call / 30];
      EXPECT_EQ(std::ranges::count(of_second, 4), 600) << ToMs(jitter);
      // Every 7.5 calls: the nearest of whole ones.
      for (std::size_t i = 1; i < taken.size(); ++i) {
        const std::size_t gap = taken[i] - taken[i - 1];
        ASSERT_TRUE(gap == 7 || gap == 8) << gap << " calls apart, jitter " << ToMs(jitter);
      }
    }
  }
}

TEST(SlotClock, TakesEveryThirdCallHoweverEarlyACallIs) {
  const auto taken = Taken(Calls(kTenMinutes, 30, 6 * kMs, 3), Duration{100'000'000});
  ASSERT_EQ(taken.size(), 6000u);
  for (std::size_t i = 0; i < taken.size(); ++i) ASSERT_EQ(taken[i], 3 * i);
}

TEST(SlotClock, TakesEveryCallOfAnAppThatAsksNoMoreThanItNeeds) {
  for (const int fps : {10, 30, 60}) {
    const Duration period{1'000'000'000 / fps};
    const auto calls = Calls(kTenMinutes, fps, period / 8, 2);
    EXPECT_EQ(Taken(calls, period).size(), calls.size()) << fps;
  }
}

TEST(SlotClock, CountsDoNotDriftWhereRatesHaveNoCommonMeasure) {
  for (const double fps : {3.7, 7.0, 11.3, 29.97}) {
    const Duration period{static_cast<Duration::rep>(1e9 / fps)};
    const auto taken = Taken(Calls(kTenMinutes, 30, 3 * kMs, 4), period);
    EXPECT_NEAR(static_cast<double>(taken.size()), 600 * fps, 1.01) << fps;
  }
}

TEST(SlotClock, PacesAnAppThatAlwaysAsksToItsRateWithoutDrift) {
  for (const Duration body : {2 * kMs, 40 * kMs, 120 * kMs, 170 * kMs, 249 * kMs}) {
    SlotClock clock;
    std::mt19937 random(5);
    std::uniform_int_distribution<Duration::rep> late(0, 1'000'000);  // of the thread that slept
    TimePoint now = kStart;
    std::vector<TimePoint> starts;
    while (now < kStart + kTenMinutes) {
      const TimePoint opens = clock.Reserve(now, kQuarter);
      if (opens > now) now = opens + Duration{late(random)};
      if (now >= kStart + kTenMinutes) break;
      starts.push_back(now);
      now = now + body;
    }
    // The second came with the first, once.
    EXPECT_NEAR(static_cast<double>(starts.size()), 2400, 1.01) << ToMs(body);
    // Tried after 2 early calls, 4, 8 ... 1024: each time one comes sooner and the next later.
    int uneven = 0;
    for (std::size_t i = 1; i < starts.size(); ++i) {
      uneven += std::abs(ToMs(starts[i] - starts[i - 1]) - 250) > 1.01 ? 1 : 0;
    }
    EXPECT_LE(uneven, 25) << ToMs(body);
  }
}

TEST(SlotClock, NeverSlowsACameraAtTheRequiredRateHoweverItJitters) {
  for (const int fps : {4, 10, 30}) {
    const Duration period{1'000'000'000 / fps};
    for (unsigned seed = 1; seed <= 20; ++seed) {  // also one whose first call is its latest
      SlotClock clock;
      for (const TimePoint call : Calls(kTenMinutes, fps, period * 49 / 100, seed)) {
        ASSERT_LE(clock.Reserve(call, period), call) << fps << " fps, seed " << seed;
      }
    }
  }
}

// A burst of first calls, as apps warm up, must not make every later call wait.
TEST(SlotClock, ForgivesABurstOfAnAppThatThenKeepsToItsRate) {
  for (const int burst : {2, 3, 5, 10}) {
    for (const Duration rest : {0 * kMs, 20 * kMs, 130 * kMs}) {
      SlotClock clock;
      TimePoint now = kStart;
      for (int i = 0; i < burst; ++i) now = std::max(now, clock.Reserve(now, kQuarter)) + 5 * kMs;
      const TimePoint first = now + rest;
      int held = 0;
      for (int i = 0; i < 2400; ++i) {
        const TimePoint due = first + i * kQuarter;
        held += clock.Reserve(due, kQuarter) > due ? 1 : 0;
      }
      EXPECT_LE(held, burst) << burst << " calls, then after " << ToMs(rest) << " ms";
    }
  }
}

TEST(SlotClock, MakesUpForOneMissedSlotAndNoMore) {
  for (const Duration pause : {600 * kMs, 1100 * kMs, 10'100 * kMs}) {
    SlotClock clock;
    EXPECT_TRUE(clock.Take(kStart, kQuarter));
    const TimePoint back = kStart + pause;
    int taken = 0;
    for (int i = 0; i < 50; ++i) taken += clock.Take(back + i * kMs, kQuarter) ? 1 : 0;
    EXPECT_EQ(taken, 2) << ToMs(pause);
    // And goes on in the old rhythm.
    const Duration after = kQuarter - pause % kQuarter;
    EXPECT_FALSE(clock.Take(back + after - 5 * kMs, kQuarter)) << ToMs(pause);
    EXPECT_TRUE(clock.Take(back + after, kQuarter)) << ToMs(pause);
  }
}

TEST(SlotClock, FollowsAnotherPeriodFromTheLastSlotOn) {
  SlotClock clock;
  EXPECT_TRUE(clock.Take(kStart, kQuarter));
  EXPECT_FALSE(clock.Take(kStart + 300 * kMs, 2 * kQuarter));
  EXPECT_TRUE(clock.Take(kStart + 500 * kMs, 2 * kQuarter));
  EXPECT_TRUE(clock.Ahead(kStart + 600 * kMs, kQuarter));
  EXPECT_FALSE(clock.Ahead(kStart + 750 * kMs, kQuarter));
  clock.Restart();
  EXPECT_FALSE(clock.Ahead(kStart, kQuarter));
  EXPECT_TRUE(clock.Take(kStart + 501 * kMs, kQuarter));
}

TEST(SlotClock, SeveralThreadsGetASlotEach) {
  SlotClock clock;
  clock.Reserve(kStart, kQuarter);
  for (int i = 1; i < 5; ++i) {
    const bool on_trial = i == 3;
    EXPECT_EQ(clock.Reserve(kStart, kQuarter), kStart + (on_trial ? 0 : i - 1) * kQuarter) << i;
  }
}

}  // namespace
}  // namespace stagger
