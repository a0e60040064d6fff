#include "agent/hooks/dynamic_linker.h"

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <atomic>
#include <cstring>

#include "agent/hooks/onnxruntime.h"
#include "agent/other_agents.h"

// A sanitizer's library finds its functions by dlsym, before anything that is instrumented may run:
// in such a build the way to the real dlsym is not, and nothing is replaced before our
// constructors.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STAGGER_NOT_INSTRUMENTED \
  __attribute__((noinline, no_sanitize("thread", "address", "undefined")))
namespace {
bool instrumented_may_run = false;
__attribute__((constructor)) void MayRun() { instrumented_may_run = true; }
}  // namespace
#else
#define STAGGER_NOT_INSTRUMENTED
constexpr bool instrumented_may_run = true;
#endif

using DlsymFunction = void* (*)(void*, const char*);

// Read by the dlsym stub (dlsym_x86_64.S), which jumps to it with the app's arguments and return
// address untouched: RTLD_NEXT must mean "after the caller", not "after the agent".
extern "C" __attribute__((visibility("hidden"))) DlsymFunction stagger_real_dlsym;
DlsymFunction stagger_real_dlsym = nullptr;

namespace stagger::agent {
namespace {

STAGGER_NOT_INSTRUMENTED DlsymFunction Real() {
  DlsymFunction real = __atomic_load_n(&stagger_real_dlsym, __ATOMIC_ACQUIRE);
  if (real != nullptr) return real;
  // glibc < 2.34 has dlsym in libdl under the architecture's base version, later ones in libc.
  static constexpr const char* kVersions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
  for (const char* version : kVersions) {
    real = reinterpret_cast<DlsymFunction>(dlvsym(RTLD_NEXT, "dlsym", version));
    if (real != nullptr) break;
  }
  __atomic_store_n(&stagger_real_dlsym, real, __ATOMIC_RELEASE);
  return real;
}

// Asked on every dlsym of the app: read without a lock, filled from the front, never emptied.
std::array<std::atomic<StaggerDlsymFilter>, 4> filters{};

void* AskFilters(void* handle, const char* name) {
  for (const auto& slot : filters) {
    const StaggerDlsymFilter filter = slot.load(std::memory_order_acquire);
    if (filter == nullptr) return nullptr;
    if (void* instead = filter(handle, name, &RealDlsym)) return instead;
  }
  return nullptr;
}

}  // namespace

void AddDlsymFilter(StaggerDlsymFilter filter) {
  for (auto& slot : filters) {
    StaggerDlsymFilter empty = nullptr;
    if (slot.compare_exchange_strong(empty, filter, std::memory_order_acq_rel)) return;
  }
}

void* RealDlsym(void* handle, const char* name) {
  void* found = Real()(handle, name);
  if (found == nullptr) dlerror();  // our own failed look-up is not the app's error
  return found;
}

void* FindRuntimeEntry(const void* caller) {
  // The caller's own dependencies first: an addon dlopened with its private runtime must get that
  // one, and a process may hold several.
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(caller, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 &&
      map != nullptr && map->l_name != nullptr && map->l_name[0] != '\0') {
    if (void* handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD)) {
      void* found = RealDlsym(handle, "OrtGetApiBase");
      dlclose(handle);
      if (found != nullptr && !IsOurEntry(found) && !IsAnAgents(found)) return found;
    } else {
      dlerror();
    }
  }
  // Another agent's would ask us in turn, for ever.
  void* next = RealDlsym(RTLD_NEXT, "OrtGetApiBase");
  if (next != nullptr && !IsAnAgents(next)) return next;
  // Loaded with RTLD_LOCAL by something that is not the caller: whatever runtime is there.
  void* found = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* out) {
        const char* slash = std::strrchr(object->dlpi_name, '/');
        const char* base = slash != nullptr ? slash + 1 : object->dlpi_name;
        if (std::strncmp(base, "libonnxruntime.so", 17) != 0) return 0;
        void* handle = dlopen(object->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
        if (handle == nullptr) return 0;
        *static_cast<void**>(out) = RealDlsym(handle, "OrtGetApiBase");
        dlclose(handle);
        return *static_cast<void**>(out) != nullptr ? 1 : 0;
      },
      &found);
  return found;
}

}  // namespace stagger::agent

namespace {
void* Instead(void* handle, const char* name) {
  using namespace stagger::agent;
  if (void* instead = AskFilters(handle, name)) return instead;
  if (std::strcmp(name, "OrtGetApiBase") != 0) return nullptr;
  void* found = handle == RTLD_DEFAULT ? RealDlsym(RTLD_NEXT, name) : RealDlsym(handle, name);
  // Another agent stands before the runtime: the app means what lies behind.
  if (found != nullptr && handle == RTLD_DEFAULT && IsAnAgents(found)) {
    found = FindRuntimeEntry(found);
  }
  if (found == nullptr || IsOurEntry(found) || IsAnAgents(found)) return nullptr;
  return HookedEntryFor(found);
}
}  // namespace

// Decides about one dlsym call: what to hand out instead, or null to let the real one answer.
extern "C" STAGGER_NOT_INSTRUMENTED __attribute__((visibility("hidden"))) void*
stagger_dlsym_filter(void* handle, const char* name) {
  // RTLD_NEXT depends on the caller, which only the real one sees; nobody looks a runtime up so.
  if (stagger::agent::Real() == nullptr || name == nullptr || handle == RTLD_NEXT) return nullptr;
  return instrumented_may_run ? Instead(handle, name) : nullptr;
}

#if !defined(__x86_64__)
// Elsewhere a sibling call (-O2) keeps the caller's return address.
extern "C" __attribute__((visibility("default"))) void* dlsym(void* handle, const char* name) {
  if (void* instead = stagger_dlsym_filter(handle, name)) return instead;
  return stagger_real_dlsym(handle, name);
}
#endif
