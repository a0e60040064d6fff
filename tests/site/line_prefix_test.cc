#include <gtest/gtest.h>

#include <algorithm>

#include "site/supervisor.h"

namespace stagger::cli {
namespace {

TEST(LinePrefix, PutsTheNameBeforeEachLine) {
  LinePrefix prefix("gate | ");
  EXPECT_EQ(prefix.Add("one\ntw"), "gate | one\n");
  EXPECT_EQ(prefix.Add("o\n\n"), "gate | two\ngate | \n");
  EXPECT_EQ(prefix.Add("last"), "");
  EXPECT_EQ(prefix.Rest(), "gate | last\n");
  EXPECT_EQ(prefix.Rest(), "");
}

TEST(LinePrefix, CutsEndlessLines) {
  LinePrefix prefix("x ");
  const std::string text = prefix.Add(std::string(20000, 'a'));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace stagger::cli
