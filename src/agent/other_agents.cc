#include "agent/other_agents.h"

#include <dlfcn.h>
#include <link.h>

#include <cstring>
#include <string>

#include "agent/hooks/dynamic_linker.h"
#include "agent/say.h"

namespace stagger::agent {
namespace {

const void* BaseOf(const void* address) {
  Dl_info info;
  return dladdr(address, &info) != 0 ? info.dli_fbase : nullptr;
}

bool IsAnAgent(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return std::strcmp(slash != nullptr ? slash + 1 : path, "libstagger-agent.so") == 0;
}

}  // namespace

bool StandsAside() {
  // Not by our own symbol's address: a reference to it means the first one's.
  static const bool aside = [] {
    const void* first = RealDlsym(RTLD_DEFAULT, "stagger_agent_interface");
    return first != nullptr && BaseOf(first) != BaseOf(reinterpret_cast<const void*>(&IsAnAgent));
  }();
  return aside;
}

void SayIfSeveral() {
  std::string paths;
  int count = 0;
  struct Found {
    std::string* paths;
    int* count;
  } found{&paths, &count};
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* out) {
        auto* all = static_cast<Found*>(out);
        if (object->dlpi_name == nullptr || !IsAnAgent(object->dlpi_name)) return 0;
        *all->paths += (*all->count == 0 ? "" : " and ") + std::string(object->dlpi_name);
        ++*all->count;
        return 0;
      },
      &found);
  if (count > 1) {
    SayOnce(Topic::kAgents, "several agents are loaded, only the first one works: " + paths);
  }
}

}  // namespace stagger::agent
