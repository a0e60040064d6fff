#include "pacing.h"

#include <gtest/gtest.h>

namespace camera_detector {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

const TimePoint kStart{std::chrono::seconds(1000)};

TEST(Pacing, FramesFallDueAtTheRate) {
  const Pacing pacing(kStart, 10);
  EXPECT_EQ(pacing.Due(0), kStart);
  EXPECT_EQ(pacing.Due(3), kStart + milliseconds(300));
}

TEST(Pacing, RoundingDoesNotAddUp) {
  const Pacing pacing(kStart, 30);
  EXPECT_EQ(pacing.Due(30 * 3600 * 24), kStart + std::chrono::hours(24));
}

TEST(Pacing, TheNextFrameIsTheFirstNotYetPast) {
  const Pacing pacing(kStart, 10);
  EXPECT_EQ(pacing.FirstDueFrom(kStart - milliseconds(5)), 0);
  EXPECT_EQ(pacing.FirstDueFrom(kStart), 0);
  EXPECT_EQ(pacing.FirstDueFrom(kStart + nanoseconds(1)), 1);
  EXPECT_EQ(pacing.FirstDueFrom(kStart + milliseconds(300)), 3);
  EXPECT_EQ(pacing.FirstDueFrom(kStart + milliseconds(301)), 4);
}

TEST(Pacing, FirstDueFromUndoesDueAtAwkwardRates) {
  for (const double fps : {0.3, 7.0, 12.5, 29.97, 999.0}) {
    const Pacing pacing(kStart, fps);
    for (std::int64_t n = 0; n < 5000; ++n) {
      ASSERT_EQ(pacing.FirstDueFrom(pacing.Due(n)), n) << fps;
      ASSERT_EQ(pacing.FirstDueFrom(pacing.Due(n) + nanoseconds(1)), n + 1) << fps;
    }
  }
}

TEST(Pacing, FramesWithinCountsTheFirstAndNotTheLast) {
  EXPECT_EQ(FramesWithin(10, 10), 100);
  EXPECT_EQ(FramesWithin(0.3, 10), 3);
  EXPECT_EQ(FramesWithin(0.31, 10), 4);
  EXPECT_EQ(FramesWithin(0.01, 10), 1);
}

}  // namespace
}  // namespace camera_detector
