// The addresses an app knows of the virtual GPU: device memory, pinned and managed host memory, all
// of it ordinary memory of this process. The driver's lock is held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "lab/vgpu/driver_values.h"

namespace stagger::vgpu {

enum class MemoryKind : std::uint8_t { kDevice, kManaged, kPinned, kRegistered };

struct Allocation {
  std::uintptr_t address = 0;
  std::size_t bytes = 0;  // as asked for
  MemoryKind kind{};
  unsigned flags = 0;
  CUcontext context = nullptr;
  bool on_device() const { return kind == MemoryKind::kDevice || kind == MemoryKind::kManaged; }
};

class Memory {
 public:
  // Page-aligned, zeroed when first touched; nullptr when the system has none.
  static void* Map(std::size_t bytes);
  static void Unmap(void* address, std::size_t bytes);
  // What device memory of this size counts for.
  static std::uint64_t Counted(std::size_t bytes) { return (bytes + 511) / 512 * 512; }

  void Add(const Allocation& allocation) { allocations_[allocation.address] = allocation; }
  void Remove(std::uintptr_t address) { allocations_.erase(address); }
  // The one that `address` begins or lies in; nullptr for other memory of the process.
  const Allocation* At(std::uintptr_t address) const;
  // Whether all of `bytes` from `address` is memory that a kernel may use.
  bool Usable(std::uintptr_t address, std::size_t bytes) const;

 private:
  std::map<std::uintptr_t, Allocation> allocations_;
};

}  // namespace stagger::vgpu
