#include "core/occupancy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/profile.h"
#include "story.h"

namespace stagger::core {
namespace {

// Bodies that run side by side all the time, two drawn in turn from all pairs, or more.
void RunTogether(const std::vector<double>& truth, std::vector<OccupancyEstimate>& estimates,
                 const std::vector<std::size_t>& who, int times) {
  for (int i = 0; i < times; ++i) {
    double sum = 0;
    double believed = 0;
    for (const std::size_t one : who) {
      sum += truth[one];
      believed += estimates[one].value();
    }
    const double slowdown = std::max(1.0, sum);
    std::vector<double> others;
    for (const std::size_t one : who) others.push_back(believed - estimates[one].value());
    for (std::size_t at = 0; at < who.size(); ++at) {
      const Duration held{static_cast<Duration::rep>(10e6 * slowdown)};
      estimates[who[at]].Learn(FromMs(10), held, held, others[at]);
    }
  }
}

TEST(OccupancyEstimate, FillsTheDeviceUntilSomethingIsKnown) {
  const OccupancyEstimate occupancy;
  EXPECT_EQ(occupancy.value(), 1);
  EXPECT_EQ(occupancy.confidence(), 0);
}

TEST(OccupancyEstimate, BodiesThatHalveEachOthersSpeedFillItEach) {
  std::vector<OccupancyEstimate> estimates(2);
  RunTogether({1, 1}, estimates, {0, 1}, 50);
  EXPECT_NEAR(estimates[0].value(), 1, 0.01);
  EXPECT_GT(estimates[0].confidence(), 0.95);
}

TEST(OccupancyEstimate, SaysOnlyWhatFitsWhileNobodyIsSlowedDown) {
  std::vector<OccupancyEstimate> estimates(3);
  RunTogether({0.2, 0.2, 0.2}, estimates, {0, 1}, 100);
  EXPECT_NEAR(estimates[0].value() + estimates[1].value(), 1, 0.03);
  RunTogether({0.2, 0.2, 0.2}, estimates, {0, 1, 2}, 100);
  EXPECT_NEAR(estimates[0].value() + estimates[1].value() + estimates[2].value(), 1, 0.03);
}

TEST(OccupancyEstimate, TellsLargeOnesFromSmallOnes) {
  const std::vector<double> truth{1, 0.3, 0.3, 0.3, 0.3};
  std::vector<OccupancyEstimate> estimates(truth.size());
  for (int round = 0; round < 50; ++round) {
    RunTogether(truth, estimates, {0, 1}, 1);
    RunTogether(truth, estimates, {0, 2}, 1);
    RunTogether(truth, estimates, {1, 2, 3, 4}, 1);
  }
  EXPECT_NEAR(estimates[0].value(), 1, 0.05);
  for (std::size_t small = 1; small < truth.size(); ++small) {
    EXPECT_NEAR(estimates[small].value(), 0.3, 0.06) << small;
  }
}

TEST(OccupancyEstimate, NoticesThatBodiesHaveGrown) {
  std::vector<OccupancyEstimate> estimates(2);
  RunTogether({0.4, 0.4}, estimates, {0, 1}, 50);
  EXPECT_LT(estimates[0].value(), 0.55);
  RunTogether({0.9, 0.9}, estimates, {0, 1}, 50);
  EXPECT_NEAR(estimates[0].value(), 0.9, 0.03);
}

TEST(OccupancyEstimate, AGlanceOfAnotherBodyTeachesNothing) {
  OccupancyEstimate occupancy;
  occupancy.Learn(FromMs(10), FromMs(10), FromMs(1), 1);
  occupancy.Learn(FromMs(0), FromMs(10), FromMs(10), 1);
  occupancy.Learn(FromMs(10), FromMs(10), FromMs(0), 1);
  EXPECT_EQ(occupancy.samples(), 0U);
  EXPECT_EQ(occupancy.value(), 1);
}

using DemandLimit = Story;

TEST_F(DemandLimit, WhatIsNotKnownRunsAlone) {
  EngineConfig config = Gpu(0);
  config.policy.demand_limit = 1;
  Begin(config, "AB");
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: a turn was free"));
  EXPECT_THAT(Ask('B'), IsEmpty());
  Pass(10);
  EXPECT_THAT(Release('A', 10), ElementsAre("B runs: another body ended"));
}

// Two streams whose bodies take 10 ms, together or alone.
TEST_F(DemandLimit, ProbesFindThatTwoFitAndThenTheyRunTogether) {
  EngineConfig config = Gpu(0);
  config.policy.demand_limit = 1;
  Begin(config, "AB");
  int probes = 0;
  bool together = false;
  for (int round = 0; round < 600 && !together; ++round) {
    Ask('A');
    const Lines second = Ask('B');
    if (!second.empty()) {
      together = second.front() == "B runs: a turn was free";
      probes += second.front() == "B runs: to see how much bodies slow each other down" ? 1 : 0;
    }
    Pass(10);
    const bool waited = second.empty();
    Release('A', 10);
    if (waited) Pass(10);
    Release('B', 10);
  }
  EXPECT_TRUE(together);
  EXPECT_GE(probes, 2);
  EXPECT_LE(probes, 20);
  EXPECT_NEAR(Of('A').occupancy.value() + Of('B').occupancy.value(), 1, 0.06);
}

TEST_F(DemandLimit, ABodyThatIsDueSoonIsNoProbe) {
  EngineConfig config = Gpu(0, "edf");
  config.policy.demand_limit = 1;
  Begin(config);
  StreamSpec tight;
  tight.deadline = Ms(15);
  Join('A', tight);
  Join('B', tight);
  for (int round = 0; round < 200; ++round) {
    Ask('A');
    // Side by side they might both take 20 ms.
    if (round > 0) {
      EXPECT_THAT(Ask('B'), IsEmpty()) << round;
    }
    Pass(10);
    Release('A', 10);
    Pass(10);
    if (round > 0) Release('B', 10);
  }
}

TEST(Profile, PhasesComeWithTheirConfidence) {
  Stream stream;
  for (int i = 0; i < 7; ++i) stream.pre.Add(FromMs(3));
  EXPECT_EQ(ProfileOf(stream).pre.confidence, 0);  // too few to tell
  stream.pre.Add(FromMs(3));
  EXPECT_EQ(ProfileOf(stream).pre.mean, FromMs(3));
  EXPECT_EQ(ProfileOf(stream).pre.confidence, 1);  // all alike
  // A normal spread of a fifth over 100: the mean's interval is 4 % to either side.
  for (int i = 0; i < 100; ++i) stream.body.Add(FromMs(i % 2 == 0 ? 8 : 12));
  EXPECT_NEAR(ProfileOf(stream).body.confidence, 0.96, 0.005);
  EXPECT_EQ(ProfileOf(stream).body.p99, FromMs(12));
  // What it takes alone says more than what it took beside others.
  for (int i = 0; i < 8; ++i) stream.alone.Add(FromMs(7));
  EXPECT_EQ(ProfileOf(stream).body.mean, FromMs(7));
  EXPECT_EQ(ProfileOf(stream).post.samples, 0U);
}

}  // namespace
}  // namespace stagger::core
