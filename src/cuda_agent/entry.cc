// How apps get at the driver's functions: by dlsym, or by the driver's own cuGetProcAddress. The
// real one is always asked first, with the app's own arguments; what it found is then replaced if
// it is hooked. Functions that the list does not know go through as they are.
#include "cuda_agent/entry.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "cuda_agent/agent_link.h"
#include "cuda_agent/hooks.h"
#include "cuda_agent/real_driver.h"
#include "cuda_agent/report.h"

namespace stagger::cuda_agent {
namespace {

constexpr unsigned long kPerThreadDefaultStream = 2;  // a flag of cuGetProcAddress

// Places in cuda::kCalls by symbol, in alphabetical order.
constexpr auto kBySymbol = [] {
  std::array<std::uint16_t, kCallCount> places{};
  for (std::size_t i = 0; i < kCallCount; ++i) places[i] = static_cast<std::uint16_t>(i);
  std::ranges::sort(places, {}, [](std::uint16_t at) { return cuda::kCalls[at].symbol; });
  return places;
}();

std::size_t IndexOf(std::string_view symbol) {
  const auto place = std::ranges::lower_bound(
      kBySymbol, symbol, {}, [](std::uint16_t at) { return cuda::kCalls[at].symbol; });
  const bool found = place != kBySymbol.end() && cuda::kCalls[*place].symbol == symbol;
  return found ? *place : static_cast<std::size_t>(kCallCount);
}

// An app may well have a function of such a name of its own.
bool IsTheDrivers(const void* function) {
  Dl_info info;
  if (dladdr(function, &info) == 0 || info.dli_fname == nullptr) return false;
  const char* slash = std::strrchr(info.dli_fname, '/');
  const char* base = slash != nullptr ? slash + 1 : info.dli_fname;
  return std::strncmp(base, "libcuda.so", 10) == 0;
}

// For the report: what the app has that goes past the hooks.
void NoteUnhooked(std::size_t at, const char* name) {
  Report& report = Report::Get();
  if (!report.wanted()) return;
  at != kCallCount ? report.Fetched(at) : report.FetchedUnknown(name);
}

// Asked by dlsym for every name, in any thread, however early.
void* Filter(void* handle, const char* name, void* (*real)(void*, const char*)) {
  if (name[0] != 'c' || name[1] != 'u' || LooksForReal()) return nullptr;
  const std::size_t at = IndexOf(name);
  void* hook = at != kCallCount ? HookFor(at) : nullptr;
  if (hook == nullptr && !Report::Get().wanted()) return nullptr;
  void* found = real(handle, name);
  if (found == nullptr || found == hook || !IsTheDrivers(found)) return nullptr;
  if (hook == nullptr) {
    NoteUnhooked(at, name);
    return nullptr;
  }
  Found(at, found);
  return hook;
}

void Replace(const char* name, void** function, int version, unsigned long flags) {
  if (name == nullptr || function == nullptr || *function == nullptr) return;
  // A driver that is older than the app answers with what it has.
  static const int newest = [] {
    int driver = 0;
    return RealCall<kAt_cuDriverGetVersion>(&driver) == CUDA_SUCCESS ? driver : 0;
  }();
  if (newest > 0) version = std::min(version, newest);
  const cuda::Found found = cuda::Find(name, version, (flags & kPerThreadDefaultStream) != 0);
  const std::size_t at = found.lookup == cuda::Lookup::kFound ? found.index : kCallCount;
  void* hook = at != kCallCount ? HookFor(at) : nullptr;
  if (hook == nullptr) return NoteUnhooked(at, name);
  if (*function == hook) return;
  Found(at, *function);
  *function = hook;
}

// A copy of this library from another installation comes before this one: the linker gives apps
// that one's functions, and so must dlsym. Not asked of dlsym, which would look in our own library
// first.
bool StandsAside() {
  const char* first = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* out) {
        const char* name = object->dlpi_name != nullptr ? object->dlpi_name : "";
        const char* slash = std::strrchr(name, '/');
        if (std::strcmp(slash != nullptr ? slash + 1 : name, "libstagger-cuda.so") != 0) return 0;
        *static_cast<const char**>(out) = name;
        return 1;
      },
      &first);
  Dl_info own;
  if (first == nullptr || dladdr(reinterpret_cast<const void*>(&Filter), &own) == 0) return false;
  return std::strcmp(first, own.dli_fname) != 0;
}

__attribute__((constructor)) void Register() {
  if (StandsAside()) return;
  Report::Get().Begin();
  Agent().add_dlsym_filter(&Filter);
}

}  // namespace
}  // namespace stagger::cuda_agent

using namespace stagger::cuda_agent;

extern "C" __attribute__((visibility("default"))) CUresult cuGetProcAddress(const char* name,
                                                                            void** function,
                                                                            int version,
                                                                            unsigned long flags) {
  const CUresult result = RealCall<kAt_cuGetProcAddress>(name, function, version, flags);
  if (result == CUDA_SUCCESS) Replace(name, function, version, flags);
  return result;
}

extern "C" __attribute__((visibility("default"))) CUresult cuGetProcAddress_v2(
    const char* name, void** function, int version, unsigned long flags,
    CUdriverProcAddressQueryResult* status) {
  const CUresult result = RealCall<kAt_cuGetProcAddress_v2>(name, function, version, flags, status);
  if (result == CUDA_SUCCESS) Replace(name, function, version, flags);
  return result;
}
