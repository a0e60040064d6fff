#include "executor/shared_memory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/try.h"

namespace stagger::executor {
namespace {

Error Failed(const char* what) { return Error{fmt::format("{}: {}", what, std::strerror(errno))}; }

std::uint64_t PageAligned(std::uint64_t bytes) {
  const std::uint64_t page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

Result<Mapping> MapShared(int fd, std::uint64_t bytes, bool writable) {
  Mapping mapping = Mapping::OfFile(fd, bytes, writable);
  if (!mapping.valid()) return Failed("cannot map shared memory");
  return mapping;
}

Result<Arena> Arena::Make(std::uint64_t input_bytes, std::uint64_t output_bytes, Budget* budget) {
  input_bytes = PageAligned(input_bytes);
  output_bytes = PageAligned(output_bytes);
  UniqueFd fd(memfd_create("stagger-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed("cannot make shared memory");
  if (ftruncate(fd.get(), static_cast<off_t>(input_bytes + output_bytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Failed("cannot size shared memory");
  }
  Mapping mapping = STAGGER_TRY(MapShared(fd.get(), input_bytes + output_bytes, true));
  return Arena(std::move(fd), std::move(mapping), input_bytes, output_bytes, budget);
}

Arena::Arena(UniqueFd fd, Mapping mapping, std::uint64_t input, std::uint64_t output,
             Budget* budget)
    : fd_(std::move(fd)),
      mapping_(std::move(mapping)),
      input_bytes_(input),
      output_bytes_(output),
      budget_(budget) {}

Arena::Arena(Arena&& other) noexcept
    : fd_(std::move(other.fd_)),
      mapping_(std::move(other.mapping_)),
      input_bytes_(other.input_bytes_),
      output_bytes_(other.output_bytes_),
      input_reserved_(other.input_reserved_),
      output_reserved_(other.output_reserved_),
      budget_(std::exchange(other.budget_, nullptr)) {}

Arena::~Arena() {
  if (budget_ != nullptr) budget_->taken -= input_reserved_ + output_reserved_;
}

bool Arena::ReserveInput(std::uint64_t bytes) {
  return Extend(0, input_bytes_, bytes, &input_reserved_);
}

bool Arena::ReserveOutput(std::uint64_t bytes) {
  return Extend(input_bytes_, output_bytes_, bytes, &output_reserved_);
}

bool Arena::Extend(std::uint64_t start, std::uint64_t capacity, std::uint64_t bytes,
                   std::uint64_t* reserved) {
  if (bytes <= *reserved) return true;
  if (bytes > capacity) return false;
  bytes = PageAligned(bytes);
  const std::uint64_t more = bytes - *reserved;
  if (more > budget_->limit - std::min(budget_->limit, budget_->taken)) return false;
  if (fallocate(fd_.get(), 0, static_cast<off_t>(start + *reserved), static_cast<off_t>(more)) !=
      0) {
    return false;
  }
  budget_->taken += more;
  *reserved = bytes;
  return true;
}

Result<UniqueFd> SealedFile(const char* name, std::span<const std::byte> content) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed("cannot make shared memory");
  while (!content.empty()) {
    const ssize_t count = write(fd.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Failed("cannot fill shared memory");
    content = content.subspan(static_cast<std::size_t>(count));
  }
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return Failed("cannot seal shared memory");
  }
  return fd;
}

Result<std::uint64_t> SizeOfSealed(int fd) {
  constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = fcntl(fd, F_GET_SEALS);
  struct stat info {};
  if (seals < 0 || (seals & kNeeded) != kNeeded || fstat(fd, &info) != 0 || info.st_size <= 0) {
    return Error{"the model did not come as sealed memory"};
  }
  return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace stagger::executor
