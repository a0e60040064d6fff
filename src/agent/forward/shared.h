// Shared memory and descriptors as the agent holds them: mappings stay, whatever the app does with
// descriptors it does not know; sockets are looked at before each use.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/mapping.h"

namespace stagger::agent {

// The content of a file; empty if it cannot be read, or is empty.
Mapping ReadWhole(const char* path);

// A sealed memfd with these bytes; invalid if there is no memory.
UniqueFd SealedCopy(std::span<const std::byte> bytes);

// fstat and stat without the symbols that glibc 2.33 introduced.
bool FileFacts(int fd, struct stat* facts);
bool FileFacts(const char* path, struct statx* facts);

std::uint64_t SizeOf(int fd);  // 0: unknown

// A connected socket with a high number. Apps close numbers they don't know (closefrom) and use
// them anew: it is ours as long as its inode is.
class OwnSocket {
 public:
  OwnSocket() = default;
  OwnSocket(UniqueFd fd);  // NOLINT(google-explicit-constructor): the same, watched
  OwnSocket(OwnSocket&&) = default;
  OwnSocket& operator=(OwnSocket&& other) noexcept;
  ~OwnSocket();

  // -1 if it is not ours any more.
  int get() const;

 private:
  UniqueFd fd_;
  unsigned long inode_ = 0;
};

}  // namespace stagger::agent
