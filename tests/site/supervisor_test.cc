#include "site/supervisor.h"

#include <gtest/gtest.h>

#include "launch/installation.h"
#include "launch/preload.h"

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

TEST(Preload, TheAgentComesBeforeWhatIsThere) {
  EXPECT_EQ(PreloadValue("/a.so", nullptr), "/a.so");
  EXPECT_EQ(PreloadValue("/a.so", ""), "/a.so");
  EXPECT_EQ(PreloadValue("/a.so", "/b.so"), "/a.so:/b.so");
  EXPECT_EQ(PreloadValue("/a.so", "/b.so  c.so::d.so"), "/a.so:/b.so:c.so:d.so");
}

TEST(Preload, NoSecondAgentOfAnyInstallation) {
  EXPECT_EQ(
      PreloadValue("/x/libstagger-agent.so", "/y/libstagger-agent.so:/y/libstagger-cuda.so:/b.so"),
      "/x/libstagger-agent.so:/b.so");
  EXPECT_EQ(PreloadValue("", "/y/libstagger-agent.so"), "");
}

TEST(Preload, IsForOrdinaryProgramsAndScripts) {
  for (const char* program : {"/bin/sh", "/bin/true", "/nonexistent", "/etc/hostname"}) {
    EXPECT_TRUE(PreloadOf(program).wanted) << program;
    EXPECT_EQ(PreloadOf(program).why_not, "") << program;
  }
}

TEST(CulpritBackoff, IsMuchLonger) {
  using std::chrono::seconds;
  EXPECT_EQ(CulpritBackoff(1), seconds{30});
  EXPECT_EQ(CulpritBackoff(3), seconds{120});
  EXPECT_EQ(CulpritBackoff(1000000), seconds{600});
}

TEST(FindInPath, FindsProgramsNotFolders) {
  EXPECT_EQ(FindInPath("nosuchprogram-anywhere"), "");
  EXPECT_NE(FindInPath("sh"), "");
  EXPECT_EQ(FindInPath("/bin"), "");
  EXPECT_EQ(FindInPath(""), "");
}

}  // namespace
}  // namespace stagger::cli
