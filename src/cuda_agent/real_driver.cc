#include "cuda_agent/real_driver.h"

#include <dlfcn.h>

#include <atomic>

namespace stagger::cuda_agent {
namespace {

thread_local bool looking = false;

// The driver that the process has loaded, or would load. Never closed: apps don't unload it either.
void* DriverHandle() {
  static std::atomic<void*> driver{nullptr};
  void* handle = driver.load(std::memory_order_acquire);
  if (handle != nullptr) return handle;
  handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (handle == nullptr) handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (handle == nullptr) dlerror();  // ours, not the app's
  driver.store(handle, std::memory_order_release);
  return handle;
}

}  // namespace

void* FindReal(std::size_t at) {
  void* driver = DriverHandle();
  if (driver == nullptr) return nullptr;
  // By the handle, so our own exports are not found; they would be by RTLD_DEFAULT.
  looking = true;
  void* function = dlsym(driver, cuda::kCalls[at].symbol.data());
  looking = false;
  if (function == nullptr) {
    dlerror();
    return nullptr;
  }
  real_functions[at].store(function, std::memory_order_relaxed);
  return function;
}

bool LooksForReal() { return looking; }

void Found(std::size_t at, void* function) {
  void* none = nullptr;
  real_functions[at].compare_exchange_strong(none, function, std::memory_order_relaxed);
}

}  // namespace stagger::cuda_agent
