// Memory that is shared with apps: files without a name (memfd), which die with the process that
// holds them last. So nothing is left behind however a process ends. Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/fd.h"
#include "base/mapping.h"
#include "base/result.h"

namespace stagger::executor {

// The first `bytes` of a file that somebody else has too.
Result<Mapping> MapShared(int fd, std::uint64_t bytes, bool writable);

// How much memory all arenas of an executor may take, and take.
struct Budget {
  std::uint64_t limit = 0;
  std::uint64_t taken = 0;
};

// One slot's tensors: an input and an output region. Its size cannot change; memory comes for as
// much of it as was reserved, so that running out is an error here and never a signal somewhere.
class Arena {
 public:
  static Result<Arena> Make(std::uint64_t input_bytes, std::uint64_t output_bytes, Budget* budget);
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&&) = delete;
  ~Arena();

  int fd() const { return fd_.get(); }
  std::byte* input() const { return mapping_.data(); }
  std::byte* output() const { return mapping_.data() + input_bytes_; }
  std::uint64_t input_bytes() const { return input_bytes_; }
  std::uint64_t output_bytes() const { return output_bytes_; }
  std::uint64_t input_reserved() const { return input_reserved_; }

  // False if that is too much for the arena, the budget or the machine; nothing changes then.
  bool ReserveInput(std::uint64_t bytes);
  bool ReserveOutput(std::uint64_t bytes);

 private:
  Arena(UniqueFd fd, Mapping mapping, std::uint64_t input, std::uint64_t output, Budget* budget);
  bool Extend(std::uint64_t start, std::uint64_t capacity, std::uint64_t bytes,
              std::uint64_t* reserved);

  UniqueFd fd_;
  Mapping mapping_;
  std::uint64_t input_bytes_;
  std::uint64_t output_bytes_;
  std::uint64_t input_reserved_ = 0;
  std::uint64_t output_reserved_ = 0;
  Budget* budget_;  // null once moved from
};

// A memfd with `content` that nobody can change any more.
Result<UniqueFd> SealedFile(const char* name, std::span<const std::byte> content);

// The size of a memfd that a client sent, if it can be mapped without fear: sealed against
// shrinking and writing.
Result<std::uint64_t> SizeOfSealed(int fd);

}  // namespace stagger::executor
