#include "agent/hooks/api_table.h"

#include <link.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace stagger::agent {
namespace {

constexpr std::size_t kMostEntries = 2048;  // 1.29 has about 410

struct Search {
  std::uintptr_t address;
  std::size_t readable = 0;  // bytes from the address to its segment's end
};

int Look(dl_phdr_info* object, std::size_t, void* argument) {
  auto* search = static_cast<Search*>(argument);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_R) == 0) continue;
    const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t end = begin + segment.p_memsz;
    if (search->address >= begin && search->address < end) {
      search->readable = end - search->address;
      return 1;
    }
  }
  return 0;
}

}  // namespace

OrtApi* CopyTable(const OrtApi* table) {
  Search search{reinterpret_cast<std::uintptr_t>(table)};
  dl_iterate_phdr(&Look, &search);
  // Our header's table must fit as memory, though an older runtime fills less of it.
  const std::size_t bytes = std::min(search.readable, kMostEntries * sizeof(void*));
  if (bytes == 0) return nullptr;
  void* copy = calloc(1, std::max(bytes, sizeof(OrtApi)));
  if (copy == nullptr) return nullptr;
  std::memcpy(copy, table, bytes);
  return static_cast<OrtApi*>(copy);
}

}  // namespace stagger::agent
