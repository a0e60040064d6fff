// What an executor tells of its inferences.
#include "executor/figures.h"

#include <gtest/gtest.h>

namespace stagger::executor {
namespace {

TEST(FiguresTest, ThePercentileOfTheLatest) {
  Figures figures;
  EXPECT_EQ(figures.pace(), 1);
  for (int i = 0; i < Figures::kWarmup; ++i) figures.Add("gate", FromMs(500), FromMs(500));
  EXPECT_EQ(figures.Apps().at("gate").samples, 0U) << "the first ones are left out";
  for (int i = 1; i <= 10; ++i) figures.Add("gate", FromMs(10 * i), FromMs(20 * i));
  EXPECT_EQ(figures.Apps().at("gate").body, FromMs(90));
  EXPECT_EQ(figures.Apps().at("gate").samples, 10U);
  EXPECT_DOUBLE_EQ(figures.pace(), 0.5);
  for (std::size_t i = 0; i < Figures::kWindow; ++i) figures.Add("gate", FromMs(3), FromMs(1));
  EXPECT_EQ(figures.Apps().at("gate").body, FromMs(3)) << "what was before is forgotten";
  EXPECT_DOUBLE_EQ(figures.pace(), 1) << "never over 1";
  // Short ones, and a moment without the core.
  for (std::size_t i = 0; i < Figures::kWindow; ++i) figures.Add("gate", FromMs(0.1), FromMs(1));
  EXPECT_DOUBLE_EQ(figures.pace(), 1);
  EXPECT_EQ(figures.inferences(), Figures::kWarmup + 10 + 2 * Figures::kWindow);
  figures.Forget("gate");
  EXPECT_TRUE(figures.Apps().empty());
}

}  // namespace
}  // namespace stagger::executor
