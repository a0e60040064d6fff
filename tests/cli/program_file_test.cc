#include "cli/program_file.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

namespace stagger::cli {
namespace {

using testing::HasSubstr;

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
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  return bytes + linker + std::string(1, '\0');
}

TEST(ElfObstacle, IsThereForWhatTheLinkerDoesNotServe) {
  EXPECT_FALSE(ElfObstacle(Elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2")));
  EXPECT_THAT(*ElfObstacle(Elf(PT_LOAD, "")), HasSubstr("statically linked"));
  EXPECT_THAT(*ElfObstacle(Elf(PT_INTERP, "/lib/ld-musl-x86_64.so.1")), HasSubstr("musl"));
  EXPECT_THAT(*ElfObstacle(Elf(PT_INTERP, "/lib/ld.so", ELFCLASS32)), HasSubstr("32-bit"));
}

TEST(ElfObstacle, SurvivesWhatIsNoProgramOrCutShort) {
  EXPECT_FALSE(ElfObstacle(""));
  EXPECT_FALSE(ElfObstacle("#!/bin/sh\n"));
  const std::string whole = Elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    (void)ElfObstacle(std::string_view(whole).substr(0, size));
  }
}

TEST(InterpreterOf, ReadsAScriptsFirstLine) {
  EXPECT_EQ(InterpreterOf("#!/bin/sh\nexit\n"), "/bin/sh");
  EXPECT_EQ(InterpreterOf("#! /usr/bin/env python3\n"), "/usr/bin/env");
  EXPECT_EQ(InterpreterOf("#!"), "");
  EXPECT_EQ(InterpreterOf("exit\n"), "");
}

TEST(RightsObstacle, IsThereForOtherRightsThanOurs) {
  EXPECT_FALSE(RightsObstacle({0755, 0, 0}, 1000, 1000));
  EXPECT_THAT(*RightsObstacle({S_ISUID | 0755, 0, 0}, 1000, 1000), HasSubstr("setuid"));
  EXPECT_FALSE(RightsObstacle({S_ISUID | 0755, 1000, 0}, 1000, 1000)) << "our own";
  EXPECT_THAT(*RightsObstacle({S_ISGID | 0755, 0, 44}, 1000, 1000), HasSubstr("setgid"));
  EXPECT_FALSE(RightsObstacle({S_ISGID | 0644, 0, 44}, 1000, 1000));
  EXPECT_THAT(*RightsObstacle({0755, 0, 0, true}, 1000, 1000), HasSubstr("capabilities"));
  EXPECT_FALSE(RightsObstacle({0755, 0, 0, true}, 0, 0)) << "root has them anyway";
}

TEST(PreloadObstacle, FindsNoneInAnOrdinaryProgram) {
  EXPECT_FALSE(PreloadObstacle("/proc/self/exe"));
  EXPECT_FALSE(PreloadObstacle("/nonexistent"));
}

TEST(RuntimesInside, AreFoundByTheNamesTheyCarry) {
  EXPECT_THAT(RuntimesInside(STAGGER_ONNXRUNTIME), testing::ElementsAre("ONNX Runtime"));
  EXPECT_THAT(RuntimesInside("/nonexistent"), testing::IsEmpty());
}

}  // namespace
}  // namespace stagger::cli
