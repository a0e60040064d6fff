#include "lab/sim/calibration.h"

#include <gtest/gtest.h>

#include <vector>

namespace stagger::sim {
namespace {

std::vector<OverlapPoint> SweepOf(const OverlapModel& model) {
  std::vector<OverlapPoint> sweep;
  for (double offset = 0; offset <= 100; offset += 5) {
    const auto [first, second] = Overlap(model, offset);
    sweep.push_back({offset, first, second});
  }
  return sweep;
}

TEST(Overlap, InferencesThatDoNotTouchTakeTheirTimeAlone) {
  const auto [first, second] = Overlap({40, 30, 0.2, 0.3, 0.3}, 70);
  EXPECT_NEAR(first, 70, 1e-5);
  EXPECT_NEAR(second, 70, 1e-5);
}

TEST(Overlap, TwoAtOnceShareTheirBodies) {
  const auto [first, second] = Overlap({40, 30, 0.2, 0.3, 0.3}, 0);
  EXPECT_NEAR(first, 40 * 2 * 1.2 + 30, 1e-5);
  EXPECT_NEAR(second, first, 1e-5);
}

TEST(Calibrate, FindsTheModelBehindASweep) {
  for (const OverlapModel& truth :
       {OverlapModel{40, 30, 0.2, 0.3, 0.3}, OverlapModel{20, 60, 0.05, 0.1, 0.1},
        OverlapModel{70, 20, 0.4, 0.15, 0.15}}) {
    const Result<Calibration> fit = Calibrate(SweepOf(truth));
    ASSERT_TRUE(fit);
    EXPECT_LT(fit.value().rmse_ms, 0.05);
    EXPECT_NEAR(fit.value().model.body_ms, truth.body_ms, truth.body_ms * 0.01);
    EXPECT_NEAR(fit.value().model.post_ms, truth.post_ms, truth.post_ms * 0.01);
    EXPECT_NEAR(fit.value().model.sigma, truth.sigma, 0.01);
    EXPECT_NEAR(fit.value().model.w, truth.w, 0.01);
  }
}

// Suzuki et al. found a body of about 45 ms by eye; the spacing between starts that just avoids a
// collision is what matters, and that comes out the same.
TEST(Calibrate, FitsThePapersTable2) {
  const Result<Calibration> fit = Calibrate(kPaperTable2);
  ASSERT_TRUE(fit);
  EXPECT_LE(fit.value().rmse_ms, 2.0);
  EXPECT_LE(fit.value().max_error_ms, 6.0);
  EXPECT_NEAR(fit.value().model.body_ms + fit.value().model.post_ms, 73.5, 2);
}

TEST(Calibrate, RefusesWhatIsNoSweep) {
  EXPECT_FALSE(Calibrate({}));
  const std::vector<OverlapPoint> negative(5, {-1, 70, 70});
  EXPECT_FALSE(Calibrate(negative));
  const std::vector<OverlapPoint> nothing(5, {1, 0, 70});
  EXPECT_FALSE(Calibrate(nothing));
}

}  // namespace
}  // namespace stagger::sim
