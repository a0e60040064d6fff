#include "lab/legs/percentile.h"

#include <gtest/gtest.h>

namespace stagger::cli {
namespace {

TEST(Percentile, NearestRank) {
  const std::vector<double> hundred = [] {
    std::vector<double> values;
    for (int i = 1; i <= 100; ++i) values.push_back(i);
    return values;
  }();
  EXPECT_EQ(Quantile(hundred, 0.5), 50);
  EXPECT_EQ(Quantile(hundred, 0.99), 99);
  EXPECT_EQ(Quantile(hundred, 1), 100);
  EXPECT_EQ(Quantile(hundred, 0), 1);
  EXPECT_EQ(Quantile({7}, 0.99), 7);
}

TEST(Percentile, DescribesUnsortedValues) {
  const auto d = Describe({3, 1, 2});
  ASSERT_TRUE(d);
  EXPECT_EQ(*d, (Distribution{1, 2, 2, 3, 3}));
  EXPECT_FALSE(Describe({}));
}

TEST(Percentile, MedianOfEvenAndOddCounts) {
  EXPECT_EQ(Median({5, 1, 3}), 3);
  EXPECT_EQ(Median({4, 1, 3, 2}), 2.5);
  EXPECT_FALSE(Median({}));
}

TEST(Percentile, SpreadHoldsQuartiles) {
  const auto spread = SpreadOf({8, 7, 6, 5, 4, 3, 2, 1});
  ASSERT_TRUE(spread);
  EXPECT_EQ(spread->median, 4.5);
  EXPECT_EQ(spread->min, 1);
  EXPECT_EQ(spread->max, 8);
  EXPECT_EQ(spread->q1, 2);
  EXPECT_EQ(spread->q3, 6);
}

}  // namespace
}  // namespace stagger::cli
