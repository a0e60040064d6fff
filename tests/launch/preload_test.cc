#include "launch/preload.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "launch/installation.h"

namespace stagger::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// An ELF head with one segment of that type, which names `linker`.
std::string Elf(std::uint32_t type, const std::string& linker, unsigned char kind = ELFCLASS64) {
  Elf64_Ehdr head{};
  std::memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = kind;
#if defined(__aarch64__)
  head.e_machine = EM_AARCH64;
#else
  head.e_machine = EM_X86_64;
#endif
  head.e_phoff = sizeof head;
  head.e_phentsize = sizeof(Elf64_Phdr);
  head.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = type;
  segment.p_offset = sizeof head + sizeof segment;
  segment.p_filesz = linker.size() + 1;
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  return bytes + linker + std::string(1, '\0');
}

class PreloadOfFile : public testing::Test {
 protected:
  std::string WhyNot(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return PreloadOf(path_).why_not;
  }
  void TearDown() override { std::filesystem::remove(path_); }

  const std::string path_ = testing::TempDir() + "preload-" +
                            testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(PreloadOfFile, SaysWhatTheLinkerDoesNotServe) {
  EXPECT_THAT(WhyNot(Elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2")), IsEmpty());
  EXPECT_THAT(WhyNot(Elf(PT_LOAD, "")), HasSubstr("linked statically"));
  EXPECT_THAT(WhyNot(Elf(PT_INTERP, "/lib/ld-musl-x86_64.so.1")), HasSubstr("musl"));
  EXPECT_THAT(WhyNot(Elf(PT_INTERP, "/lib/ld.so", ELFCLASS32)), HasSubstr("32-bit"));
}

TEST_F(PreloadOfFile, SurvivesWhatIsNoProgramOrCutShort) {
  EXPECT_THAT(WhyNot(""), IsEmpty());
  EXPECT_THAT(WhyNot("#!/bin/sh\n"), IsEmpty());
  EXPECT_THAT(WhyNot("#!"), IsEmpty());
  const std::string whole = Elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
  for (std::size_t size = 0; size < whole.size(); ++size) (void)WhyNot(whole.substr(0, size));
}

TEST_F(PreloadOfFile, OfAScriptItsInterpreterCounts) {
  const std::string interpreter = path_ + "-interpreter";
  std::ofstream(interpreter, std::ios::binary) << Elf(PT_LOAD, "");
  EXPECT_THAT(WhyNot("#! " + interpreter + " -x\n"), HasSubstr("of its interpreter"));
  std::filesystem::remove(interpreter);
}

TEST_F(PreloadOfFile, NothingStandsInTheWayOfAnOrdinaryProgram) {
  EXPECT_THAT(PreloadOf("/proc/self/exe").why_not, IsEmpty());
  EXPECT_THAT(PreloadOf("/nonexistent").why_not, IsEmpty());
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

TEST(FindInPath, FindsProgramsNotFolders) {
  EXPECT_EQ(FindInPath("nosuchprogram-anywhere"), "");
  EXPECT_NE(FindInPath("sh"), "");
  EXPECT_EQ(FindInPath("/bin"), "");
  EXPECT_EQ(FindInPath(""), "");
}

}  // namespace
}  // namespace stagger::cli
