#include "site/supervisor.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace stagger::cli {
namespace {

TEST(Backoff, DoublesUpToHalfAMinute) {
  using std::chrono::seconds;
  EXPECT_EQ(Backoff(1), seconds{1});
  EXPECT_EQ(Backoff(2), seconds{2});
  EXPECT_EQ(Backoff(5), seconds{16});
  EXPECT_EQ(Backoff(6), seconds{30});
  EXPECT_EQ(Backoff(1000000), seconds{30});
}

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

TEST(CulpritBackoff, IsMuchLonger) {
  using std::chrono::seconds;
  EXPECT_EQ(CulpritBackoff(1), seconds{30});
  EXPECT_EQ(CulpritBackoff(3), seconds{120});
  EXPECT_EQ(CulpritBackoff(1000000), seconds{600});
}

}  // namespace
}  // namespace stagger::cli
