#include "base/mapping.h"

#include <sys/mman.h>

#include <utility>

namespace stagger {

Mapping Mapping::OfFile(int fd, std::uint64_t bytes, bool writable) {
  return Map(fd, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED);
}

Mapping Mapping::OfMemory(std::uint64_t bytes) {
  return Map(-1, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

Mapping Mapping::Map(int fd, std::uint64_t bytes, int protection, int flags) {
  Mapping mapping;
  void* at = mmap(nullptr, bytes, protection, flags, fd, 0);  // refuses 0 bytes itself
  if (at == MAP_FAILED) return mapping;
  mapping.data_ = static_cast<std::byte*>(at);
  mapping.size_ = bytes;
  return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace stagger
