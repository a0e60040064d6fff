// What an executor tells of its inferences.
#include "executor/measurements.h"

#include <gtest/gtest.h>

namespace stagger::executor {
namespace {

TEST(MeasurementsTest, ThePercentileOfTheLatest) {
  Measurements measurements;
  EXPECT_EQ(measurements.pace(), 1);
  for (int i = 0; i < Measurements::kWarmup; ++i)
    measurements.Add("gate", FromMs(500), FromMs(500));
  EXPECT_EQ(measurements.Apps().at("gate").samples, 0U) << "the first ones are left out";
  for (int i = 1; i <= 10; ++i) measurements.Add("gate", FromMs(10 * i), FromMs(20 * i));
  EXPECT_EQ(measurements.Apps().at("gate").body, FromMs(90));
  EXPECT_EQ(measurements.Apps().at("gate").samples, 10U);
  EXPECT_DOUBLE_EQ(measurements.pace(), 0.5);
  for (std::size_t i = 0; i < Measurements::kWindow; ++i)
    measurements.Add("gate", FromMs(3), FromMs(1));
  EXPECT_EQ(measurements.Apps().at("gate").body, FromMs(3)) << "what was before is forgotten";
  EXPECT_DOUBLE_EQ(measurements.pace(), 1) << "never over 1";
  // Short ones, and a moment without the core.
  for (std::size_t i = 0; i < Measurements::kWindow; ++i)
    measurements.Add("gate", FromMs(0.1), FromMs(1));
  EXPECT_DOUBLE_EQ(measurements.pace(), 1);
  EXPECT_EQ(measurements.inferences(), Measurements::kWarmup + 10 + 2 * Measurements::kWindow);
  measurements.Forget("gate");
  EXPECT_TRUE(measurements.Apps().empty());
}

}  // namespace
}  // namespace stagger::executor
