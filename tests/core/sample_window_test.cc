#include "core/sample_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

namespace stagger::core {
namespace {

TEST(SampleWindowTest, AnEmptyWindowKnowsNothing) {
  const SampleWindow window;
  EXPECT_TRUE(window.empty());
  EXPECT_EQ(window.count(), 0u);
  EXPECT_EQ(window.mean(), Duration{0});
  EXPECT_EQ(window.min(), Duration{0});
  EXPECT_EQ(window.max(), Duration{0});
  EXPECT_EQ(window.Quantile(0.99), Duration{0});
}

TEST(SampleWindowTest, OneSampleIsEveryQuantile) {
  SampleWindow window;
  window.Add(Duration{7});
  for (const double q : {-1.0, 0.0, 0.5, 0.99, 1.0, 2.0})
    EXPECT_EQ(window.Quantile(q), Duration{7});
}

TEST(SampleWindowTest, QuantilesAreNearestRank) {
  SampleWindow window;
  for (int i = 100; i >= 1; --i) window.Add(Duration{i});
  EXPECT_EQ(window.Quantile(0), Duration{1});
  EXPECT_EQ(window.Quantile(0.07), Duration{7});
  EXPECT_EQ(window.Quantile(0.5), Duration{50});
  EXPECT_EQ(window.Quantile(0.505), Duration{51});
  EXPECT_EQ(window.Quantile(0.99), Duration{99});
  EXPECT_EQ(window.Quantile(1), Duration{100});
  EXPECT_EQ(window.mean(), Duration{50});
}

TEST(SampleWindowTest, TheOldestGoesWhenItIsFull) {
  SampleWindow window;
  window.Add(Duration{1'000'000});
  for (std::size_t i = 0; i < SampleWindow::kCapacity; ++i) window.Add(Duration{5});
  EXPECT_EQ(window.max(), Duration{5});
  EXPECT_EQ(window.mean(), Duration{5});
  EXPECT_EQ(window.count(), SampleWindow::kCapacity + 1);
}

TEST(SampleWindowTest, AgreesWithSortingEachTime) {
  SampleWindow window;
  std::deque<std::int64_t> recent;
  std::uint64_t random = 1;
  for (int i = 0; i < 3000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const auto sample = static_cast<std::int64_t>((random >> 33) % 50);  // many equal ones
    window.Add(Duration{sample});
    recent.push_back(sample);
    if (recent.size() > SampleWindow::kCapacity) recent.pop_front();
    std::vector<std::int64_t> sorted(recent.begin(), recent.end());
    std::ranges::sort(sorted);
    std::int64_t sum = 0;
    for (const std::int64_t value : sorted) sum += value;
    const std::size_t n = sorted.size();
    ASSERT_EQ(window.min().count(), sorted.front());
    ASSERT_EQ(window.max().count(), sorted.back());
    ASSERT_EQ(window.mean().count(), sum / static_cast<std::int64_t>(n));
    ASSERT_EQ(window.Quantile(0.5).count(), sorted[(n + 1) / 2 - 1]);
    ASSERT_EQ(window.Quantile(0.99).count(), sorted[(n * 99 + 99) / 100 - 1]);
  }
}

}  // namespace
}  // namespace stagger::core
