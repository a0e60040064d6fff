// The names that apps see. Every call passes one guard: not in a forked child, not before cuInit,
// not from a host function, and nothing but its device's error after one. It takes the driver's
// lock for the whole of the call.
#include <cstring>

#include "cuda/driver_calls.h"
#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/driver.h"

#define STAGGER_EXPORT extern "C" __attribute__((visibility("default")))

namespace stagger::vgpu {
namespace {

constexpr bool Anytime(std::string_view symbol, cuda::CallKind kind) {
  return kind == cuda::CallKind::kEntry || symbol.starts_with("cuGetError");
}

// A thread may leave a context whose device has failed for another one.
constexpr bool Leaves(std::string_view symbol) {
  return symbol == "cuCtxSetCurrent" || symbol == "cuCtxPushCurrent_v2" ||
         symbol == "cuCtxPopCurrent_v2";
}

template <typename F>
CUresult Guarded(bool anytime, bool leaves, bool per_thread, F call) {
  if (anytime) return call();
  Driver& driver = Driver::Get();
  if (driver.forked() || !driver.initialized()) return CUDA_ERROR_NOT_INITIALIZED;
  if (OnHostFunctionThread()) return CUDA_ERROR_NOT_PERMITTED;
  ApiCall here{Lock(driver.mutex), per_thread};
  const CUresult failed = driver.failure();
  if (failed != CUDA_SUCCESS && !leaves) return failed;
  this_call = &here;
  return call();
}

}  // namespace
}  // namespace stagger::vgpu

#define STAGGER_GUARDED(symbol, kind, per_thread, arguments)                                    \
  return stagger::vgpu::Guarded(stagger::vgpu::Anytime(#symbol, stagger::cuda::CallKind::kind), \
                                stagger::vgpu::Leaves(#symbol), per_thread,                     \
                                [&] { return stagger::vgpu::api::symbol arguments; });

#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  STAGGER_EXPORT CUresult symbol parameters { STAGGER_GUARDED(symbol, kind, false, arguments) }
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  STAGGER_EXPORT CUresult symbol parameters{STAGGER_GUARDED(                                  \
      symbol, kind, false, arguments)} STAGGER_EXPORT CUresult symbol##suffix parameters {    \
    STAGGER_GUARDED(symbol, kind, true, arguments)                                            \
  }
#include "cuda/driver_calls.inc"

namespace stagger::vgpu::api {
namespace {

void* const kFunctions[] = {
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  reinterpret_cast<void*>(&::symbol),
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  reinterpret_cast<void*>(&::symbol), reinterpret_cast<void*>(&::symbol##suffix),
#include "cuda/driver_calls.inc"
};
static_assert(std::size(kFunctions) == cuda::kCalls.size());

}  // namespace

CUresult cuGetProcAddress_v2(const char* name, void** function, int version, unsigned long flags,
                             CUdriverProcAddressQueryResult* status) {
  if (name == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto known =
      CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
  if ((flags & ~static_cast<unsigned long>(known)) != 0) return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  const cuda::Found found =
      cuda::Find(name, version, (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0);
  if (found.lookup == cuda::Lookup::kFound) *function = kFunctions[found.index];
  if (status != nullptr) {
    *status = found.lookup == cuda::Lookup::kFound    ? CU_GET_PROC_ADDRESS_SUCCESS
              : found.lookup == cuda::Lookup::kTooNew ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                                                      : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  }
  // With a status the answer is in it, and the call has succeeded.
  return *function != nullptr || status != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char* name, void** function, int version, unsigned long flags) {
  return cuGetProcAddress_v2(name, function, version, flags, nullptr);
}

}  // namespace stagger::vgpu::api
