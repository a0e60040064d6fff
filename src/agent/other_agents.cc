#include "agent/other_agents.h"

#include <dlfcn.h>
#include <link.h>

#include <cstring>
#include <string>

#include "agent/say.h"

namespace stagger::agent {
namespace {

bool IsAnAgent(const char* path) {
  if (path == nullptr) return false;
  const char* slash = std::strrchr(path, '/');
  return std::strcmp(slash != nullptr ? slash + 1 : path, "libstagger-agent.so") == 0;
}

bool HoldsUs(const dl_phdr_info& object) {
  const auto here = reinterpret_cast<ElfW(Addr)>(&IsAnAgent);
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object.dlpi_phdr[i];
    const ElfW(Addr) begin = object.dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && here >= begin && here - begin < part.p_memsz) return true;
  }
  return false;
}

}  // namespace

bool StandsAside() {
  // In the order of the linker's search. Not by dlsym: it would look in our own library first,
  // which is linked to find its own symbols.
  static const bool aside = [] {
    bool another = false;
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* out) {
          if (!IsAnAgent(object->dlpi_name)) return 0;
          *static_cast<bool*>(out) = !HoldsUs(*object);
          return 1;
        },
        &another);
    return another;
  }();
  return aside;
}

bool IsAnAgents(const void* function) {
  Dl_info info;
  return dladdr(function, &info) != 0 && IsAnAgent(info.dli_fname);
}

void SayIfSeveral() {
  struct Found {
    std::string paths;
    int count = 0;
  } found;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* out) {
        auto* all = static_cast<Found*>(out);
        if (!IsAnAgent(object->dlpi_name)) return 0;
        all->paths += (all->count == 0 ? "" : " and ") + std::string(object->dlpi_name);
        ++all->count;
        return 0;
      },
      &found);
  if (found.count > 1) {
    SayOnce(Topic::kAgents, "several agents are loaded, only the first one works: " + found.paths);
  }
}

}  // namespace stagger::agent
