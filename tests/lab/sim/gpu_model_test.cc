#include "lab/sim/gpu_model.h"

#include <gtest/gtest.h>

namespace stagger::sim {
namespace {

Duration Ms(double ms) { return FromMs(ms); }
TimePoint At(double ms) { return TimePoint{Ms(ms)}; }

using End = std::pair<TimePoint, std::size_t>;

TEST(GpuModel, ALoneBodyTakesItsTime) {
  GpuModel gpu({.name = "t4", .sigma = 0.2, .w = 0.3, .g = 0.3});
  EXPECT_EQ(gpu.NextCompletion(), std::nullopt);
  gpu.Start(7, Phase::kBody, Ms(40), 1);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(40), 7}));
  gpu.Advance(At(15));
  EXPECT_EQ(gpu.NextCompletion(), (End{At(40), 7}));
  gpu.Advance(At(40));
  gpu.Finish(7);
  EXPECT_EQ(gpu.NextCompletion(), std::nullopt);
}

TEST(GpuModel, TwoBodiesThatFillTheDeviceShareItAndLoseSigma) {
  GpuModel gpu({.name = "t4", .sigma = 0.25});
  gpu.Start(0, Phase::kBody, Ms(40), 1);
  gpu.Start(1, Phase::kBody, Ms(40), 1);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(40 * 2 * 1.25), 0}));
}

TEST(GpuModel, FourQuartersRunSideBySideWithoutLoss) {
  GpuModel gpu({.name = "big", .sigma = 0.3});
  for (std::size_t job = 0; job < 4; ++job) gpu.Start(job, Phase::kBody, Ms(4), 0.25);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(4), 0}));
  gpu.Start(4, Phase::kBody, Ms(4), 0.25);  // a fifth: 1.25 (1 + 0.3 * 0.25)
  EXPECT_NEAR(ToMs(gpu.NextCompletion()->first - At(0)), 4 * 1.25 * 1.075, 1e-5);
}

TEST(GpuModel, PostPhasesAndBodiesSlowEachOtherDown) {
  GpuModel gpu({.name = "t4", .w = 0.5, .g = 0.25});
  gpu.Start(0, Phase::kPost, Ms(10), 0);
  gpu.Start(1, Phase::kPost, Ms(100), 0);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(10), 0}));  // post phases don't touch each other
  gpu.Start(2, Phase::kBody, Ms(10), 1);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(12.5), 0}));
  gpu.Advance(At(12.5));
  gpu.Finish(0);
  // The body ran at 1 / (1 + 0.5 * 2) so far, 6.25 of its 10 ms; from now on at 1 / 1.5.
  EXPECT_EQ(gpu.NextCompletion(), (End{At(12.5 + 3.75 * 1.5), 2}));
}

TEST(GpuModel, ABodyThatFillsHalfIsHalfAsSensitiveToPostPhases) {
  GpuModel gpu({.name = "t4", .w = 0.5});
  gpu.Start(0, Phase::kPost, Ms(100), 0);
  gpu.Start(1, Phase::kBody, Ms(10), 0.5);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(12.5), 1}));
}

TEST(GpuModel, OneThatIsTakenAwayLeavesTheOthersMore) {
  GpuModel gpu({.name = "t4"});
  gpu.Start(0, Phase::kBody, Ms(10), 1);
  gpu.Start(1, Phase::kBody, Ms(30), 1);
  gpu.Advance(At(10));
  gpu.Finish(0);
  EXPECT_EQ(gpu.NextCompletion(), (End{At(35), 1}));
}

TEST(GpuModel, SaysWhatIsLeftAndWhenAJobCanEndAtTheEarliest) {
  GpuModel gpu({.name = "t4"});
  gpu.Start(0, Phase::kBody, Ms(10), 1);
  gpu.Start(1, Phase::kBody, Ms(30), 1);
  // At half speed until the first has ended, at 20 ms, and no faster than alone from then on.
  EXPECT_EQ(gpu.EarliestEnd(0), At(20));
  EXPECT_EQ(gpu.EarliestEnd(1), At(40));
  gpu.Advance(At(10));
  EXPECT_EQ(gpu.Left(0), Ms(5));
  EXPECT_EQ(gpu.Left(1), Ms(25));
  gpu.Finish(0);  // taken off before it is done
  EXPECT_EQ(gpu.EarliestEnd(1), At(35));
}

}  // namespace
}  // namespace stagger::sim
