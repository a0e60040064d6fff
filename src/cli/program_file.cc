#include "cli/program_file.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/fd.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kHead = 64 * 1024;
constexpr int kMostInterpreters = 4;  // as the kernel has it
constexpr off_t kLeastInside = 1024 * 1024;
constexpr off_t kMostInside = off_t{2} * 1024 * 1024 * 1024;

#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
#else
constexpr unsigned kMachine = EM_NONE;
#endif

struct Marker {
  const char* text;  // the name of a class, as type information has it
  const char* runtime;
};
constexpr Marker kMarkers[] = {{"N11onnxruntime16InferenceSessionE", "ONNX Runtime"},
                               {"N6tflite11InterpreterE", "TensorFlow Lite"},
                               {"N6tflite4impl11InterpreterE", "TensorFlow Lite"}};

std::string ReadHead(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return "";
  std::string bytes(kHead, '\0');
  const ssize_t count = read(fd.get(), bytes.data(), bytes.size());
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

}  // namespace

std::optional<std::string> ElfObstacle(std::string_view bytes) {
  Elf64_Ehdr head;
  if (bytes.size() < sizeof head || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    return std::nullopt;
  }
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.e_ident[EI_CLASS] != ELFCLASS64) return "is a 32-bit program; the agent is 64-bit";
  if (kMachine != EM_NONE && head.e_machine != kMachine) {
    return "is built for another processor than the agent";
  }
  for (unsigned i = 0; i < head.e_phnum; ++i) {
    const std::size_t at = head.e_phoff + std::size_t{i} * head.e_phentsize;
    Elf64_Phdr segment;
    if (at + sizeof segment > bytes.size()) return std::nullopt;  // further in than we look
    std::memcpy(&segment, bytes.data() + at, sizeof segment);
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_offset >= bytes.size()) return std::nullopt;
    const std::string_view linker =
        bytes.substr(segment.p_offset,
                     strnlen(bytes.data() + segment.p_offset, bytes.size() - segment.p_offset));
    if (linker.find("ld-musl") != std::string_view::npos) {
      return "is linked with musl; the agent needs glibc";
    }
    return std::nullopt;
  }
  return "is statically linked: nothing can be preloaded into it";
}

std::string InterpreterOf(std::string_view bytes) {
  if (!bytes.starts_with("#!")) return "";
  std::string_view line = bytes.substr(2, bytes.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t\r")));
}

std::optional<std::string> RightsObstacle(const FileRights& file, uid_t uid, gid_t gid) {
  if ((file.mode & S_ISUID) != 0 && file.uid != uid) {
    return fmt::format("is setuid (to user {}): the dynamic linker ignores LD_PRELOAD", file.uid);
  }
  // Without the group's x bit the s means something else (mandatory locking).
  if ((file.mode & S_ISGID) != 0 && (file.mode & S_IXGRP) != 0 && file.gid != gid) {
    return fmt::format("is setgid (to group {}): the dynamic linker ignores LD_PRELOAD", file.gid);
  }
  if (file.capabilities && uid != 0) {
    return "has file capabilities: the dynamic linker ignores LD_PRELOAD";
  }
  return std::nullopt;
}

std::optional<std::string> PreloadObstacle(const std::string& path) {
  std::string program = path;
  for (int i = 0; i <= kMostInterpreters; ++i) {
    const std::string bytes = ReadHead(program);
    const std::string interpreter = InterpreterOf(bytes);
    if (!interpreter.empty()) {  // the rights of a script's file count for nothing
      program = interpreter;
      continue;
    }
    std::optional<std::string> obstacle = ElfObstacle(bytes);
    struct stat info {};
    if (!obstacle && stat(program.c_str(), &info) == 0) {
      const bool capabilities = getxattr(program.c_str(), "security.capability", nullptr, 0) > 0;
      obstacle = RightsObstacle({info.st_mode, info.st_uid, info.st_gid, capabilities}, geteuid(),
                                getegid());
    }
    if (!obstacle) return std::nullopt;
    return program + " " + *obstacle;
  }
  return std::nullopt;
}

std::vector<std::string> RuntimesInside(const std::string& path) {
  std::vector<std::string> found;
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return found;
  if (info.st_size < kLeastInside || info.st_size > kMostInside) return found;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (bytes == MAP_FAILED) return found;
  for (const Marker& marker : kMarkers) {
    if (memmem(bytes, size, marker.text, std::strlen(marker.text)) == nullptr) continue;
    if (found.empty() || found.back() != marker.runtime) found.emplace_back(marker.runtime);
  }
  munmap(bytes, size);
  return found;
}

}  // namespace stagger::cli
