#include "launch/preload.h"

#include <elf.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "launch/installation.h"

namespace stagger::cli {
namespace {

constexpr int kMostInterpreters = 4;  // as the kernel
#if defined(__x86_64__)
constexpr std::uint16_t kOurMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kOurMachine = EM_AARCH64;
#endif

std::string_view BaseOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Starts with more rights than its caller's: the linker then ignores LD_PRELOAD.
std::optional<std::string> Privileged(const std::string& path) {
  struct stat file {};
  struct statvfs system {};
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  const bool ignored = (statvfs(path.c_str(), &system) == 0 && (system.f_flag & ST_NOSUID) != 0) ||
                       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
  if (ignored) return std::nullopt;
  if ((file.st_mode & S_ISUID) != 0 && file.st_uid != getuid()) return "it is setuid";
  if ((file.st_mode & S_ISGID) != 0 && (file.st_mode & S_IXGRP) != 0 && file.st_gid != getgid()) {
    return "it is setgid";
  }
  if (getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    return "it has file capabilities";
  }
  return std::nullopt;
}

// What a script's first line names: the interpreter, and its argument.
std::vector<std::string> Interpreter(const std::string& first_line) {
  std::istringstream words(first_line.substr(2));
  std::vector<std::string> all;
  for (std::string word; words >> word;) all.push_back(word);
  return all;
}

Preload ElfPreload(std::ifstream& file, const std::string& path) {
  std::array<unsigned char, EI_NIDENT> ident{};
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(ident.data()), ident.size())) return {};
  if (ident[EI_CLASS] == ELFCLASS32) {
    return {false, "it is a 32-bit program, and the agent is a 64-bit library"};
  }
  Elf64_Ehdr header{};
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (header.e_machine != kOurMachine) {
    return {false, "it is a program for another processor than the agent"};
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return {};
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part{};
    file.seekg(static_cast<std::streamoff>(header.e_phoff + i * sizeof part));
    if (!file.read(reinterpret_cast<char*>(&part), sizeof part)) return {};
    if (part.p_type != PT_INTERP) continue;
    std::string linker(std::min<std::size_t>(part.p_filesz, 256), '\0');
    file.seekg(static_cast<std::streamoff>(part.p_offset));
    if (!file.read(linker.data(), static_cast<std::streamsize>(linker.size()))) return {};
    if (BaseOf(linker.c_str()).starts_with("ld-musl")) {
      return {false, "it uses the musl C library, and the agent needs glibc"};
    }
    return {};
  }
  // The dynamic linker, called as a program, loads what it runs as it always does.
  if (BaseOf(path).starts_with("ld-") || BaseOf(path).starts_with("ld.so")) return {};
  return {true, "it is linked statically, so nothing can be loaded into it"};
}

Preload PreloadOf(const std::string& program, int depth) {
  std::ifstream file(program, std::ios::binary);
  std::array<char, 512> start{};
  file.read(start.data(), start.size() - 1);
  file.clear();
  const std::string_view begin(start.data(), std::strlen(start.data()));
  if (begin.starts_with("#!")) {
    const auto words = Interpreter(std::string(begin.substr(0, begin.find('\n'))));
    if (words.empty() || depth == kMostInterpreters) return {};
    Preload preload = PreloadOf(words[0], depth + 1);
    // env is a program like any other; the one that it becomes counts.
    for (std::size_t i = 1;
         preload.why_not.empty() && BaseOf(words[0]) == "env" && i < words.size(); ++i) {
      if (words[i].starts_with('-') || words[i].find('=') != std::string::npos) continue;
      const std::string found = FindInPath(words[i]);
      if (!found.empty()) preload = PreloadOf(found, depth + 1);
      break;
    }
    if (!preload.why_not.empty() && depth == 0) {
      preload.why_not = fmt::format("of its interpreter {}: {}", words[0], preload.why_not);
    }
    return preload;
  }
  // A script's own bits mean nothing to Linux: only a program's do.
  if (const auto rights = Privileged(program)) {
    return {true, *rights + ", and the dynamic linker loads nothing foreign into such programs"};
  }
  if (std::memcmp(start.data(), ELFMAG, SELFMAG) != 0) return {};
  return ElfPreload(file, program);
}

bool IsAnAgent(std::string_view library) {
  const std::string_view base = BaseOf(library);
  return base == "libstagger-agent.so" || base == "libstagger-cuda.so";
}

}  // namespace

Preload PreloadOf(const std::string& program) { return PreloadOf(program, 0); }

std::string PreloadValue(const std::string& agents, const char* existing) {
  std::string value = agents;
  std::string_view rest = existing != nullptr ? existing : "";
  while (!rest.empty()) {
    const std::size_t end = rest.find_first_of(": ");
    const std::string_view library = rest.substr(0, end);
    if (!library.empty() && !IsAnAgent(library)) {
      value += (value.empty() ? "" : ":") + std::string(library);
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return value;
}

}  // namespace stagger::cli
