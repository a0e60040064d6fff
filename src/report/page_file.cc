#include "report/page_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace stagger::report {
namespace {

constexpr int kMostPrograms = 1000;  // that one process becomes in turn

// Where pages go, kept from the start: an app may change its environment.
std::array<char, 256> folder{};

int OpenNew(const char* suffix, std::size_t size) {
  std::array<char, 320> path{};
  for (int i = 0; i < kMostPrograms; ++i) {
    std::snprintf(path.data(), path.size(), "%s/%d-%d.%s", folder.data(),
                  static_cast<int>(getpid()), i, suffix);
    const int fd = open(path.data(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
      if (errno == EEXIST) continue;
      return -1;
    }
    if (ftruncate(fd, static_cast<off_t>(size)) == 0) return fd;
    unlink(path.data());
    close(fd);
    return -1;
  }
  return -1;
}

void FillHead(Head* head, std::size_t size) {
  std::array<char, 512> text{};
  ssize_t count = readlink("/proc/self/exe", text.data(), text.size() - 1);
  head->program.Set({text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))});
  count = 0;
  const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    count = read(fd, text.data(), text.size() - 1);
    close(fd);
  }
  std::size_t length = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  while (length > 0 && text[length - 1] == '\0') --length;
  std::replace(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length), '\0', ' ');
  head->command.Set({text.data(), length});
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  head->began_ns = now.tv_sec * 1'000'000'000LL + now.tv_nsec;
  head->pid = static_cast<std::int32_t>(getpid());
  head->parent = static_cast<std::int32_t>(getppid());
  head->size = size;
  __atomic_store_n(&head->magic, kMagic, __ATOMIC_RELEASE);
}

}  // namespace

void* MakePage(const char* suffix, std::size_t size) {
  const char* named = std::getenv("STAGGER_REPORT");
  if (named == nullptr || *named == '\0' || std::strlen(named) >= folder.size()) return nullptr;
  std::memcpy(folder.data(), named, std::strlen(named) + 1);
  const int fd = OpenNew(suffix, size);
  if (fd < 0) return nullptr;
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page == MAP_FAILED) return nullptr;
  FillHead(static_cast<Head*>(page), size);
  return page;
}

void RenewPage(void* page, const char* suffix, std::size_t size) {
  const int fd = OpenNew(suffix, size);
  const int flags = MAP_FIXED | (fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
  void* mapped = mmap(page, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (fd >= 0) close(fd);
  // With MAP_FIXED over our own mapping this does not fail; if it did, the parent's stays.
  if (mapped == page && fd >= 0) FillHead(static_cast<Head*>(page), size);
}

void NoteLibraries(Head* head) {
  FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return;
  std::string lines;
  std::array<char, 1024> line{};
  while (std::fgets(line.data(), static_cast<int>(line.size()), maps) != nullptr) {
    const char* path = std::strchr(line.data(), '/');
    unsigned long offset = 1;
    // Where each copy of a library begins, so that copies can be counted.
    if (path == nullptr || std::sscanf(line.data(), "%*s %*s %lx", &offset) != 1 || offset != 0) {
      continue;
    }
    std::string_view file(path);
    while (!file.empty() && file.back() == '\n') file.remove_suffix(1);
    if (Recognise(file) == nullptr) continue;
    lines.append("0 ").append(file).push_back('\n');
  }
  std::fclose(maps);
  head->libraries.Set(lines);
}

}  // namespace stagger::report
