// Contexts. A device's primary one is made when it is first retained.
#include <utility>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

CUresult WaitForAll(CUcontext context) {
  return context->device->timeline.Wait(Held(), context->order.PendingInAll());
}

// Waits for what the context has under way, then ends it.
CUresult Destroy(CUcontext context) {
  const CUresult waited = WaitForAll(context);
  Driver::Get().EndContext(context);
  return waited;
}

// Ends the primary context for everybody.
CUresult Reset(SeenDevice* device) { return Destroy(std::exchange(device->primary, nullptr)); }

}  // namespace

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SeenDevice* on = Driver::Get().Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (on->primary == nullptr) {
    STAGGER_CUDA_TRY(Driver::Get().NewContext(on, on->primary_flags, &on->primary));
    on->primary->primary = true;
  }
  ++on->primary->retained;
  *context = on->primary;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  SeenDevice* on = Driver::Get().Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  if (on->primary == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  return --on->primary->retained > 0 ? CUDA_SUCCESS : Reset(on);
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags) {
  SeenDevice* on = Driver::Get().Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  on->primary_flags = flags;
  if (on->primary != nullptr) on->primary->flags = flags;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active) {
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const SeenDevice* on = Driver::Get().Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  *flags = on->primary_flags;
  *active = on->primary != nullptr ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  SeenDevice* on = Driver::Get().Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  return on->primary == nullptr ? CUDA_SUCCESS : Reset(on);
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) { return cuDevicePrimaryCtxReset_v2(device); }

CUresult cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  SeenDevice* on = Driver::Get().Device(device);
  if (on == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  const CUresult made = Driver::Get().NewContext(on, flags, context);
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
  if (!Alive(context, Kind::kContext) || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  std::vector<CUcontext>& stack = ContextStack();
  if (!stack.empty() && stack.back() == context) stack.pop_back();
  return Destroy(context);
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
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
  if (context != nullptr && !Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  std::vector<CUcontext>& stack = ContextStack();
  if (!stack.empty()) stack.pop_back();
  if (context != nullptr) stack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = Current();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice_v2(CUdevice* device, CUcontext context) {
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  *device = context->device->ordinal;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice* device) { return cuCtxGetDevice_v2(device, nullptr); }

CUresult cuCtxGetFlags(unsigned int* flags) {
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *flags = context->flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext context, unsigned long long* id) {
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  *id = context->id;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
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

CUresult cuCtxSynchronize_v2(CUcontext context) {
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  for (auto& [id, capture] : Driver::Get().captures) {
    if (capture->origin->context != context) continue;
    Invalidate(capture.get());
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return WaitForAll(context);
}
CUresult cuCtxSynchronize() { return cuCtxSynchronize_v2(nullptr); }

}  // namespace stagger::vgpu::api
