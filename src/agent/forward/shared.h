// Shared memory and descriptors as the agent holds them: mappings stay, whatever the app does with
// descriptors it does not know; sockets are looked at before each use.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.h"

namespace stagger::agent {

class Mapping {
 public:
  Mapping() = default;
  // Empty if it cannot be mapped.
  static Mapping OfFile(int fd, std::uint64_t bytes, bool writable);
  static Mapping OfMemory(std::uint64_t bytes);  // zeroed, this process's own
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  bool valid() const { return data_ != nullptr; }
  std::byte* data() const { return data_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The content of a file; empty if it cannot be read, or is empty.
Mapping ReadWhole(const char* path);

// A sealed memfd with these bytes; invalid if there is no memory.
UniqueFd SealedCopy(std::span<const std::byte> bytes);

// stat and fstat by a name that every glibc since 2.28 has (they were macros before 2.33).
bool FileFacts(int fd, struct statx* facts);
bool FileFacts(const char* path, struct statx* facts);

std::uint64_t SizeOf(int fd);  // 0: unknown

// A connected socket with a high number. Apps close numbers they don't know (closefrom) and use
// them anew: it is ours as long as its inode is.
class OwnSocket {
 public:
  OwnSocket() = default;
  explicit OwnSocket(UniqueFd fd);
  OwnSocket(OwnSocket&&) = default;
  OwnSocket& operator=(OwnSocket&&) = delete;
  ~OwnSocket();

  // -1 if it is not ours any more.
  int get() const;

 private:
  UniqueFd fd_;
  unsigned long inode_ = 0;
};

}  // namespace stagger::agent
