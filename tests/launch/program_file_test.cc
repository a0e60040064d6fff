#include "launch/program_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stagger::cli {
namespace {

TEST(RuntimesInside, AreFoundByTheNamesTheyCarry) {
  EXPECT_THAT(RuntimesInside(STAGGER_ONNXRUNTIME), testing::ElementsAre("ONNX Runtime"));
  EXPECT_THAT(RuntimesInside("/nonexistent"), testing::IsEmpty());
}

}  // namespace
}  // namespace stagger::cli
