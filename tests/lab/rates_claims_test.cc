#include "lab/bench/rates/rates_claims.h"

#include <gtest/gtest.h>

namespace stagger::cli {
namespace {

constexpr int kKinds = 31;

// `computed`: which calls give what is their own.
template <typename Computed>
std::vector<RateCall> Calls(int count, Computed computed) {
  std::vector<RateCall> calls;
  std::uint64_t last = 0;
  for (int i = 0; i < count; ++i) {
    const Duration start{i * 1'000'000'000LL / 30};
    if (computed(i)) last = 100 + static_cast<std::uint64_t>(i % kKinds);
    calls.push_back({i % kKinds, start, start + FromMs(1), last});
  }
  return calls;
}

const std::vector<RateCall> kTruth = Calls(kKinds, [](int) { return true; });

TEST(RatesClaims, ReadsLines) {
  const auto call = ParseCall("7,1000,2500,18446744073709551615");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->kind, 7);
  EXPECT_EQ(call->end, Duration{2500});
  EXPECT_EQ(call->hash, 18446744073709551615U);
  EXPECT_FALSE(ParseCall("7,1000,2500"));
  EXPECT_FALSE(ParseCall("7,1000,2500,1,2"));
}

TEST(RatesClaims, TellsWhichCallsComputed) {
  // Calls 40, 47 or 48, 55 ...: every 7.5.
  const auto calls = Calls(340, [](int i) { return i < 30 || (i >= 40 && (i - 40) * 2 % 15 < 2); });
  const auto figures = RatesOf(calls, kTruth, 35, 30, 4);
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->calls, 300);
  EXPECT_EQ(figures->done, 40);
  EXPECT_EQ(figures->seconds_of_calls, 10);
  EXPECT_EQ(figures->exact_seconds, 10);
  EXPECT_EQ(figures->least_gap, 7);
  EXPECT_EQ(figures->greatest_gap, 8);
  EXPECT_EQ(figures->wrong, 0);
  EXPECT_NEAR(figures->calls_fps, 30, 0.001);
  EXPECT_NEAR(figures->fps, 4, 0.01);
  EXPECT_EQ(figures->reused_ms.size(), 260U);
}

TEST(RatesClaims, NoticesWhatIsWrong) {
  auto calls = Calls(100, [](int i) { return i % 5 == 0; });
  calls[52].hash = 1;  // nobody's; and call 53 repeats what call 52 did not give
  const auto figures = RatesOf(calls, kTruth, 0, 30, 4);
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->wrong, 2);
  EXPECT_EQ(figures->exact_seconds, 0) << "6 of each 30 are not 4";
  EXPECT_FALSE(RatesOf(Calls(70, [](int i) { return i == 50; }), kTruth, 40, 30, 4));
  EXPECT_FALSE(RatesOf(calls, {}, 0, 30, 4));
}

}  // namespace
}  // namespace stagger::cli
