#include "wire/text.h"

#include <gtest/gtest.h>

namespace stagger::wire {
namespace {

TEST(Text, AcceptsWhatPeopleWrite) {
  for (const char* text : {"", "gate-1", "a b", "\u00a0", "caméra", "入口", "🎥", "\U0010ffff",
                           "\ud7ff", "\ue000", "~"}) {
    EXPECT_TRUE(IsText(text)) << text;
  }
}

TEST(Text, RefusesControlCharacters) {
  EXPECT_FALSE(IsText(std::string_view("\0", 1)));
  for (const char* text : {"a\n", "\t", "\x1b[2J", "\x7f", "\xc2\x80", "\xc2\x9b", "\xc2\x9f"}) {
    EXPECT_FALSE(IsText(text)) << text;
  }
}

TEST(Text, RefusesIllFormedUtf8) {
  for (const char* text :
       {"\x80", "\xc0\xaf", "\xc1\x81", "\xc3", "\xc3(", "\xe0\x80\xaf", "\xe5\x85", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf0\x9f\x8e", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(IsText(text)) << text;
  }
}

TEST(Text, CleaningKeepsTextAndReplacesTheRest) {
  EXPECT_EQ(CleanText("caméra 1", 64), "caméra 1");
  EXPECT_EQ(CleanText("a\nb\xff", 64), "a?b?");
  EXPECT_EQ(CleanText(std::string_view("a\0b", 3), 64), "a?b");
  EXPECT_EQ(CleanText("", 64), "");
}

TEST(Text, CleaningCutsBetweenCharacters) {
  EXPECT_EQ(CleanText("abcdef", 3), "abc");
  EXPECT_EQ(CleanText("入口", 6), "入口");
  EXPECT_EQ(CleanText("入口", 5), "入");
  EXPECT_EQ(CleanText("入口", 2), "");
}

}  // namespace
}  // namespace stagger::wire
