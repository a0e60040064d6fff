#include "console/table.h"

#include <gtest/gtest.h>

namespace stagger::cli {
namespace {

TEST(Table, NumbersRightWordsLeft) {
  Table table({"leg", "fps", "verdict"});
  table.AddRow({"alone", "9.5", "pass"});
  table.AddRow({"controlled", "60.0", "fail: too slow"});
  EXPECT_EQ(table.ToString(),
            "leg          fps  verdict\n"
            "alone        9.5  pass\n"
            "controlled  60.0  fail: too slow\n");
}

TEST(Table, FillsShortRowsAndCutsLongOnes) {
  Table table({"a", "b"});
  table.AddRow({"1"});
  table.AddRow({"1", "2", "3"});
  EXPECT_EQ(table.ToString(), "a  b\n1\n1  2\n");
}

TEST(Table, CountsCharactersNotBytes) {
  EXPECT_EQ(Width("µs"), 2u);
  Table table({"x", "y"});
  table.AddRow({"µs", "1"});
  EXPECT_EQ(table.ToString(), "x   y\nµs  1\n");
}

TEST(Table, NothingKnownIsNumeric) {
  Table table({"leg", "drops"});
  table.AddRow({"a", "-"});
  table.AddRow({"b", "-1.5"});
  EXPECT_EQ(table.ToString(), "leg  drops\na        -\nb     -1.5\n");
}

}  // namespace
}  // namespace stagger::cli
