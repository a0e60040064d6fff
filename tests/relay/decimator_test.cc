#include "relay/decimator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <random>
#include <vector>

namespace stagger::relay {
namespace {

constexpr double kTenMinutes = 600;

TimePoint At(double seconds) { return TimePoint{Duration{std::llround(seconds * 1e9)}}; }

// The times of a camera: `fps`, each frame early or late by up to `jitter_s`, never out of order.
std::vector<TimePoint> Camera(double fps, double seconds, double jitter_s, double start_s = 1000) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> jitter(-jitter_s, jitter_s);
  std::vector<TimePoint> times;
  const auto frames = static_cast<std::int64_t>(std::llround(fps * seconds));
  for (std::int64_t n = 0; n < frames; ++n) {
    const TimePoint at = At(start_s + static_cast<double>(n) / fps + jitter(random));
    times.push_back(times.empty() ? at : std::max(at, times.back()));
  }
  return times;
}

std::vector<TimePoint> Passed(Decimator& decimator, const std::vector<TimePoint>& times) {
  std::vector<TimePoint> passed;
  for (const TimePoint at : times) {
    if (decimator.Take(at)) passed.push_back(at);
  }
  return passed;
}

std::vector<TimePoint> Passed(double fps, const std::vector<TimePoint>& times) {
  Decimator decimator(fps);
  return Passed(decimator, times);
}

struct Case {
  double source_fps;
  double fps;
  double jitter_s;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.source_fps << " to " << c.fps << " fps, jitter " << c.jitter_s << " s";
  }
};

class TenMinutes : public testing::TestWithParam<Case> {};

// No frame too many, none missing, and each within half a frame of the source (and the jitter) of
// its place in the row: after ten minutes as in the first second.
TEST_P(TenMinutes, EachFrameIsTheOneNearestToItsPlace) {
  const Case& c = GetParam();
  const std::vector<TimePoint> passed =
      Passed(c.fps, Camera(c.source_fps, kTenMinutes, c.jitter_s));
  ASSERT_NEAR(static_cast<double>(passed.size()), kTenMinutes * c.fps, 1);
  const double slack_s = 0.5 / c.source_fps + 3 * c.jitter_s + 1e-3;
  for (std::size_t n = 0; n < passed.size(); ++n) {
    const double off_ms = ToMs(passed[n] - passed[0]) - static_cast<double>(n) * 1000 / c.fps;
    ASSERT_LE(std::abs(off_ms), slack_s * 1000) << "frame " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Decimator, TenMinutes,
                         testing::Values(Case{30, 4, 0}, Case{30, 4, 0.008}, Case{30, 7, 0.008},
                                         Case{29.97, 4, 0}, Case{29.97, 10, 0.01},
                                         Case{29.97, 4.5, 0.005}, Case{25, 4, 0},
                                         Case{25, 10, 0.008}, Case{25, 12.5, 0.01},
                                         Case{25, 24, 0.001}, Case{60, 0.1, 0.005},
                                         Case{10, 4, 0.02}));

TEST(Decimator, WholeFractionsOfASteadySourceAreExactlyEven) {
  const std::vector<TimePoint> passed = Passed(5, Camera(30, 60, 0));
  ASSERT_EQ(passed.size(), 300u);
  for (std::size_t n = 1; n < passed.size(); ++n) {
    EXPECT_NEAR(ToMs(passed[n] - passed[n - 1]), 200, 0.001);
  }
}

// One frame may go while the row settles: the first may have come as late as any.
TEST(Decimator, ASourceAtTheRateItselfPassesWholeWhateverItsJitter) {
  for (const double jitter_s : {0.0, 0.005, 0.012, 0.016}) {
    const std::vector<TimePoint> source = Camera(30, kTenMinutes, jitter_s);
    EXPECT_GE(Passed(30, source).size(), source.size() - 1) << jitter_s;
  }
}

TEST(Decimator, ASlowerSourcePassesWhole) {
  for (const double fps : {29.97, 25.0, 10.0, 1.0}) {
    const std::vector<TimePoint> source = Camera(fps, kTenMinutes, 0.1 / fps);
    EXPECT_EQ(Passed(30, source).size(), source.size()) << fps;
  }
}

TEST(Decimator, AnOutageIsNotMadeUpFor) {
  Decimator decimator(4);
  const std::vector<TimePoint> before = Passed(decimator, Camera(30, 10, 0, 0));
  const std::vector<TimePoint> after = Passed(decimator, Camera(30, 10, 0, 73.21));
  EXPECT_EQ(before.size(), 40u);
  EXPECT_NEAR(static_cast<double>(after.size()), 40, 1);
  for (std::size_t n = 2; n < after.size(); ++n) {
    EXPECT_GE(ToMs(after[n] - after[n - 1]), 200) << n;
  }
}

TEST(Decimator, TimesThatRunBackwardsStartTheCountAnew) {
  Decimator decimator(4);
  EXPECT_EQ(Passed(decimator, Camera(30, 10, 0, 500)).size(), 40u);
  EXPECT_EQ(Passed(decimator, Camera(30, 10, 0, 20)).size(), 40u);
}

TEST(Decimator, FramesOfOneTimeAreOne) {
  Decimator decimator(10);
  EXPECT_TRUE(decimator.Take(At(1)));
  EXPECT_FALSE(decimator.Take(At(1)));
  EXPECT_FALSE(decimator.Take(At(1)));
}

}  // namespace
}  // namespace stagger::relay
