#include "agent/forward/shared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stagger::agent {
namespace {

constexpr int kHighFd = 500;  // apps expect the lowest free number from open()

}  // namespace

Mapping ReadWhole(const char* path) {
  const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || !FileFacts(fd.get(), &info) || !S_ISREG(info.st_mode)) return {};
  Mapping content = Mapping::OfMemory(static_cast<std::uint64_t>(info.st_size));
  // Read, not mapped: a file that somebody shortens now must not take the app along.
  std::size_t at = 0;
  while (at < content.bytes().size()) {
    const ssize_t count = read(fd.get(), content.data() + at, content.bytes().size() - at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {};
    at += static_cast<std::size_t>(count);
  }
  return content;
}

UniqueFd SealedCopy(std::span<const std::byte> bytes) {
  // Writing beyond the app's limit on file sizes would be a signal to it.
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur < bytes.size()) return {};
  UniqueFd fd(memfd_create("stagger-model", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  while (fd.valid() && !bytes.empty()) {
    const ssize_t count = write(fd.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {};
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (fd.valid() && fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return {};
  return fd;
}

bool FileFacts(int fd, struct stat* facts) { return syscall(SYS_fstat, fd, facts) == 0; }

bool FileFacts(const char* path, struct statx* facts) {
  return statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, facts) == 0;
}

std::uint64_t SizeOf(int fd) {
  struct stat info {};
  return FileFacts(fd, &info) ? static_cast<std::uint64_t>(info.st_size) : 0;
}

OwnSocket::OwnSocket(UniqueFd fd) {
  const int high = fcntl(fd.get(), F_DUPFD_CLOEXEC, kHighFd);
  fd_ = high >= 0 ? UniqueFd(high) : std::move(fd);
  struct stat info {};
  if (FileFacts(fd_.get(), &info)) inode_ = info.st_ino;
}

OwnSocket& OwnSocket::operator=(OwnSocket&& other) noexcept {
  if (get() < 0) (void)fd_.Release();
  fd_ = std::move(other.fd_);
  inode_ = other.inode_;
  return *this;
}

OwnSocket::~OwnSocket() {
  if (get() < 0) fd_.Release();  // somebody else's number now
}

int OwnSocket::get() const {
  struct stat info {};
  if (!fd_.valid() || !FileFacts(fd_.get(), &info) || info.st_ino != inode_) return -1;
  return S_ISSOCK(info.st_mode) ? fd_.get() : -1;
}

}  // namespace stagger::agent
