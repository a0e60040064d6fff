#include "driver_api.h"

#include <dlfcn.h>

namespace cuda_camera {

#ifdef CUDA_CAMERA_LINKED
extern "C" {
#define CUDA_CAMERA_DECLARE(name, symbol, suffix, version, parameters) \
  Result symbol parameters;                                            \
  Result symbol##suffix parameters;
CUDA_CAMERA_FUNCTIONS(CUDA_CAMERA_DECLARE)
#undef CUDA_CAMERA_DECLARE
}
const char* DefaultBinding() { return "linked"; }
#else
const char* DefaultBinding() { return "dlsym"; }
#endif

namespace {

using GetProcAddress = Result (*)(const char*, void**, int, unsigned long, int*);
constexpr unsigned long kPerThread = 2;

std::string BindSymbols(void* library, bool per_thread, Driver* driver) {
#define CUDA_CAMERA_LOOK_UP(name, symbol, suffix, version, parameters) \
  driver->name = reinterpret_cast<Result(*) parameters>(               \
      dlsym(library, per_thread ? #symbol #suffix : #symbol));         \
  if (driver->name == nullptr) return "the driver has no " #symbol;
  CUDA_CAMERA_FUNCTIONS(CUDA_CAMERA_LOOK_UP)
#undef CUDA_CAMERA_LOOK_UP
  return "";
}

std::string BindByAsking(GetProcAddress ask, bool per_thread, Driver* driver) {
  void* found = nullptr;
  int status = 0;
#define CUDA_CAMERA_ASK(name, symbol, suffix, version, parameters)                             \
  if (ask(#name, &found, version, per_thread ? kPerThread : 0, &status) != 0 || status != 0) { \
    return "the driver does not know " #name;                                                  \
  }                                                                                            \
  driver->name = reinterpret_cast<Result(*) parameters>(found);
  CUDA_CAMERA_FUNCTIONS(CUDA_CAMERA_ASK)
#undef CUDA_CAMERA_ASK
  return "";
}

}  // namespace

std::string Bind(const std::string& how, bool per_thread, Driver* driver) {
#ifdef CUDA_CAMERA_LINKED
  if (how == "linked") {
#define CUDA_CAMERA_TAKE(name, symbol, suffix, version, parameters) \
  driver->name = per_thread ? symbol##suffix : symbol;
    CUDA_CAMERA_FUNCTIONS(CUDA_CAMERA_TAKE)
#undef CUDA_CAMERA_TAKE
    return "";
  }
#endif
  if (how != "dlsym" && how != "proc") return "this program cannot bind by '" + how + "'";
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return dlerror();
  if (how == "dlsym") return BindSymbols(library, per_thread, driver);
  const auto ask = reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
  return ask == nullptr ? "the driver has no cuGetProcAddress_v2"
                        : BindByAsking(ask, per_thread, driver);
}

}  // namespace cuda_camera
