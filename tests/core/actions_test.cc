#include "core/actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace stagger::core {
namespace {

TEST(ReasonTest, EveryReasonSaysSomethingOfItsOwn) {
  std::set<std::string> said;
  const int count = static_cast<int>(Reason::kBodiesChange) + 1;
  for (int i = 0; i < count; ++i) said.insert(ToString(static_cast<Reason>(i)));
  EXPECT_EQ(said.size(), static_cast<std::size_t>(count));
  EXPECT_FALSE(said.contains("no reason known"));
}

}  // namespace
}  // namespace stagger::core
