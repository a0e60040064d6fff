// Contexts. The primary one is made when it is first retained.
#include <utility>

#include "vgpu/double/api.h"
#include "vgpu/double/capture.h"
#include "vgpu/double/driver.h"

namespace stagger::vgpu::api {
namespace {

// Waits for what the context has under way, then ends it.
CUresult Destroy(Driver* driver, Lock* lock, CUcontext context) {
  std::vector<OpId> ids;
  context->order.PendingInAll(&ids);
  const CUresult waited = driver->timeline.Wait(lock, ids);
  driver->EndContext(context);
  return waited;
}

CUresult Synchronize(CUcontext context) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  for (auto& [id, capture] : driver.captures) {
    if (capture->origin->context != context) continue;
    Invalidate(capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  std::vector<OpId> ids;
  context->order.PendingInAll(&ids);
  return driver.timeline.Wait(&lock, ids);
}

CUresult CheckOrdinal(CUdevice device) {
  return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

}  // namespace

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  if (driver.primary == nullptr) {
    driver.primary = driver.NewContext(driver.primary_flags);
    driver.primary->primary = true;
  }
  ++driver.primary->retained;
  *context = driver.primary;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (driver.primary == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (--driver.primary->retained > 0) return CUDA_SUCCESS;
  CUcontext context = std::exchange(driver.primary, nullptr);
  return Destroy(&driver, &lock, context);
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  driver.primary_flags = flags;
  if (driver.primary != nullptr) driver.primary->flags = flags;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active) {
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  *flags = driver.primary_flags;
  *active = driver.primary != nullptr ? 1 : 0;
  return CheckOrdinal(device);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (driver.primary == nullptr) return CUDA_SUCCESS;
  CUcontext context = std::exchange(driver.primary, nullptr);
  return Destroy(&driver, &lock, context);
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) { return cuDevicePrimaryCtxReset_v2(device); }

CUresult cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  *context = driver.NewContext(flags);
  ContextStack().push_back(*context);
  return CUDA_SUCCESS;
}
CUresult cuCtxCreate_v3(CUcontext* context, CUexecAffinityParam* affinity, int count,
                        unsigned int flags, CUdevice device) {
  if (affinity != nullptr || count != 0) return CUDA_ERROR_NOT_SUPPORTED;
  return cuCtxCreate_v2(context, flags, device);
}
CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams* parameters, unsigned int flags,
                        CUdevice device) {
  if (parameters != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return cuCtxCreate_v2(context, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (!Alive(context, Kind::kContext) || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  std::vector<CUcontext>& stack = ContextStack();
  if (!stack.empty() && stack.back() == context) stack.pop_back();
  return Destroy(&driver, &lock, context);
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  const Lock lock(Driver::Get().mutex);
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  ContextStack().push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  std::vector<CUcontext>& stack = ContextStack();
  if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context != nullptr) *context = stack.back();
  stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  const Lock lock(Driver::Get().mutex);
  if (context != nullptr && !Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  std::vector<CUcontext>& stack = ContextStack();
  if (!stack.empty()) stack.pop_back();
  if (context != nullptr) stack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  *context = Current();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  if (Current() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *device = 0;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext context) {
  if (context == nullptr) return cuCtxGetDevice(device);
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned int* flags) {
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *flags = context->flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext context, unsigned long long* id) {
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  *id = context->id;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  if (context != nullptr && !Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  *version = 3020;  // of the context interface, not of the driver
  return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(CUlimit, size_t) { return CUDA_SUCCESS; }
CUresult cuCtxGetLimit(size_t* value, CUlimit) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *value = 0;
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCacheConfig(CUfunc_cache) { return CUDA_SUCCESS; }
CUresult cuCtxGetCacheConfig(CUfunc_cache* config) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *config = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = 0;
  if (greatest != nullptr) *greatest = -5;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() { return Synchronize(Current()); }
CUresult cuCtxSynchronize_v2(CUcontext context) {
  return Synchronize(context != nullptr ? context : Current());
}

}  // namespace stagger::vgpu::api
