#include "lab/sim/tally.h"

#include <gtest/gtest.h>

namespace stagger::sim {
namespace {

Duration Us(std::int64_t us) { return std::chrono::microseconds{us}; }

TEST(Histogram, QuantilesAreWithinHalfAThousandth) {
  Histogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Add(Us(i * 100));
  EXPECT_EQ(histogram.count(), 1000u);
  EXPECT_EQ(histogram.min(), Us(100));
  EXPECT_EQ(histogram.max(), Us(100'000));
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), 50'050'000);
  EXPECT_NEAR(ToMs(histogram.Quantile(0.5)), 50, 50 * 0.0006);
  EXPECT_NEAR(ToMs(histogram.Quantile(0.99)), 99, 99 * 0.0006);
  EXPECT_NEAR(ToMs(histogram.Quantile(0)), 0.1, 0.1 * 0.0006);
  EXPECT_NEAR(ToMs(histogram.Quantile(1)), 100, 100 * 0.0006);
}

TEST(Histogram, MergedIsAsIfAddedToOne) {
  Histogram all, left, right;
  for (int i = 1; i <= 300; ++i) {
    all.Add(Us(i * i));
    (i % 3 == 0 ? left : right).Add(Us(i * i));
  }
  left.Merge(right);
  left.Merge(Histogram());
  for (const double q : {0.0, 0.1, 0.5, 0.9, 0.99, 1.0}) {
    EXPECT_EQ(left.Quantile(q), all.Quantile(q)) << q;
  }
  EXPECT_EQ(left.mean_ns(), all.mean_ns());
}

TEST(Histogram, AnEmptyOneHasNoQuantile) {
  EXPECT_EQ(Histogram().Quantile(0.5), Duration{});
  EXPECT_EQ(Histogram().mean_ns(), 0);
}

TEST(Tally, ADrawWithoutDropsCounts) {
  Tally good, bad, sum;
  good.frames = bad.frames = 10;
  bad.drops = 4;
  good.EndDraw();
  bad.EndDraw();
  sum.Merge(good);
  sum.Merge(bad);
  EXPECT_EQ(sum.draws, 2);
  EXPECT_EQ(sum.zero_drop_draws, 1);
  EXPECT_DOUBLE_EQ(sum.worst_draw_drop_ratio, 0.4);
  EXPECT_DOUBLE_EQ(sum.drop_ratio(), 0.2);
}

}  // namespace
}  // namespace stagger::sim
