// A memory mapping, undone when it goes. What it maps may be a file (memfd) shared with another
// process, or memory of this process's own. Owned by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace stagger {

class Mapping {
 public:
  Mapping() = default;
  // The first `bytes` of a file, shared with others that map it. Not valid if it cannot be mapped,
  // or there is nothing to map; errno says why.
  static Mapping OfFile(int fd, std::uint64_t bytes, bool writable);
  // Zeroed, this process's own; not valid if there is no memory.
  static Mapping OfMemory(std::uint64_t bytes);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  bool valid() const { return data_ != nullptr; }
  std::byte* data() const { return data_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  static Mapping Map(int fd, std::uint64_t bytes, int protection, int flags);

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace stagger
