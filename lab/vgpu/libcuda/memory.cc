#include "lab/vgpu/libcuda/memory.h"

#include <sys/mman.h>

namespace stagger::vgpu {

void* Memory::Map(std::size_t bytes) {
  // Reserved, not taken: an app may allocate far more than it touches.
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return address == MAP_FAILED ? nullptr : address;
}

void Memory::Unmap(void* address, std::size_t bytes) { munmap(address, bytes); }

const Allocation* Memory::At(std::uintptr_t address) const {
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return nullptr;
  const Allocation& found = std::prev(after)->second;
  return address - found.address < found.bytes ? &found : nullptr;
}

bool Memory::Usable(std::uintptr_t address, std::size_t bytes) const {
  const Allocation* found = At(address);
  return found != nullptr && bytes <= found->bytes - (address - found->address);
}

}  // namespace stagger::vgpu
