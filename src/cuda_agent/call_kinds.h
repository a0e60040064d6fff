// What a driver call is to the detector. On the app's threads, at every hooked call.
#pragma once

#include "cuda/driver_calls.h"
#include "cuda_agent/facts.h"
#include "cuda_agent/real_driver.h"
#include "phase/call.h"

namespace stagger::cuda_agent {

inline bool OnDevice(CUdeviceptr address, CUmemorytype type) {
  if (type != 0 && type != CU_MEMORYTYPE_UNIFIED) return type != CU_MEMORYTYPE_HOST;
  unsigned int found = 0;
  const CUresult result = RealCall<kAt_cuPointerGetAttribute>(
      static_cast<void*>(&found), CUpointer_attribute{CU_POINTER_ATTRIBUTE_MEMORY_TYPE}, address);
  // What the driver does not know is ordinary host memory.
  return result == CUDA_SUCCESS && found != CU_MEMORYTYPE_HOST;
}

inline phase::CallKind CopyKind(const Facts& facts) {
  const bool to_device = OnDevice(facts.to, facts.to_type);
  const bool from_device = OnDevice(facts.from, facts.from_type);
  if (to_device == from_device) return phase::CallKind::kCopyOnDevice;
  return to_device ? phase::CallKind::kCopyIn : phase::CallKind::kCopyOut;
}

inline phase::CallKind KindOf(cuda::CallKind kind, const Facts& facts) {
  switch (kind) {
    case cuda::CallKind::kGraphLaunch:
      return phase::CallKind::kGraphLaunch;
    case cuda::CallKind::kCopyHtoD:
      return phase::CallKind::kCopyIn;
    case cuda::CallKind::kCopyDtoH:
      return phase::CallKind::kCopyOut;
    case cuda::CallKind::kCopyDtoD:
      return phase::CallKind::kCopyOnDevice;
    case cuda::CallKind::kCopy:
      return CopyKind(facts);
    case cuda::CallKind::kMemset:
      return phase::CallKind::kMemset;
    case cuda::CallKind::kSync:
    case cuda::CallKind::kEventSync:
      return phase::CallKind::kBlockingSync;
    case cuda::CallKind::kStreamWait:
      return phase::CallKind::kStreamWait;
    default:
      return phase::CallKind::kLaunch;
  }
}

}  // namespace stagger::cuda_agent
