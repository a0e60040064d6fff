#include "relay/tally.h"

#include <gtest/gtest.h>

namespace stagger::relay {
namespace {

void Feed(Tally& tally, double fps, int frames, double from_s) {
  for (int n = 0; n < frames; ++n) {
    tally.Add(TimePoint{FromMs(from_s * 1000 + n * 1000 / fps)}, n % 2 == 0);
  }
}

TEST(Tally, CountsAndRates) {
  Tally tally(5);
  Feed(tally, 10, 101, 3);
  const Counts counts = tally.counts();
  EXPECT_EQ(counts.in.frames, 101);
  EXPECT_EQ(counts.out.frames, 51);
  EXPECT_EQ(counts.skipped(), 50);
  EXPECT_NEAR(counts.in.fps(), 10, 1e-6);
  EXPECT_NEAR(counts.out.fps(), 5, 1e-6);
  EXPECT_EQ(tally.NewlySlow(), std::nullopt);
}

TEST(Tally, ASlowSourceIsNoticedOnce) {
  Tally tally(30);
  Feed(tally, 10, 10, 0);
  EXPECT_EQ(tally.NewlySlow(), std::nullopt) << "too early to say";
  Feed(tally, 10, 40, 1);
  EXPECT_NEAR(tally.NewlySlow().value_or(0), 10, 0.01);
  EXPECT_EQ(tally.NewlySlow(), std::nullopt);
}

TEST(Tally, AnOutageIsNotTakenForASlowSource) {
  Tally tally(10);
  Feed(tally, 10, 5, 0);
  Feed(tally, 10, 30, 20);
  EXPECT_EQ(tally.NewlySlow(), std::nullopt);
}

TEST(Tally, WithoutFramesThereIsNoRate) {
  Tally tally(10);
  EXPECT_EQ(tally.counts().in.fps(), 0);
  EXPECT_EQ(tally.NewlySlow(), std::nullopt);
}

}  // namespace
}  // namespace stagger::relay
