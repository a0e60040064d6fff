// Contexts. A device's primary one is made when it is first retained.
#include <utility>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

// Waits for what the context has under way, then ends it.
CUresult Destroy(Driver* driver, Lock* lock, CUcontext context) {
  std::vector<OpId> ids;
  context->order.PendingInAll(&ids);
  const CUresult waited = context->device->timeline.Wait(lock, ids);
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
  return context->device->timeline.Wait(&lock, ids);
}

}  // namespace

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::Get();
  SeenDevice* on = driver.Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  const Lock lock(driver.mutex);
  if (on->primary == nullptr) {
    const CUresult made = driver.NewContext(on, on->primary_flags, &on->primary);
    if (made != CUDA_SUCCESS) return made;
    on->primary->primary = true;
  }
  ++on->primary->retained;
  *context = on->primary;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  Driver& driver = Driver::Get();
  SeenDevice* on = driver.Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  Lock lock(driver.mutex);
  if (on->primary == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (--on->primary->retained > 0) return CUDA_SUCCESS;
  CUcontext context = std::exchange(on->primary, nullptr);
  return Destroy(&driver, &lock, context);
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags) {
  Driver& driver = Driver::Get();
  SeenDevice* on = driver.Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  const Lock lock(driver.mutex);
  on->primary_flags = flags;
  if (on->primary != nullptr) on->primary->flags = flags;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active) {
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::Get();
  const SeenDevice* on = driver.Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  const Lock lock(driver.mutex);
  *flags = on->primary_flags;
  *active = on->primary != nullptr ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  Driver& driver = Driver::Get();
  SeenDevice* on = driver.Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  Lock lock(driver.mutex);
  if (on->primary == nullptr) return CUDA_SUCCESS;
  CUcontext context = std::exchange(on->primary, nullptr);
  return Destroy(&driver, &lock, context);
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) { return cuDevicePrimaryCtxReset_v2(device); }

CUresult cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::Get();
  SeenDevice* on = driver.Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  const Lock lock(driver.mutex);
  const CUresult made = driver.NewContext(on, flags, context);
  if (made == CUDA_SUCCESS) ContextStack().push_back(*context);
  return made;
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
  const CUctx_st* context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *device = context->device->ordinal;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext context) {
  if (context == nullptr) return cuCtxGetDevice(device);
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  *device = context->device->ordinal;
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
