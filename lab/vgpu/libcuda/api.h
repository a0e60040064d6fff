// The driver API of the virtual GPU: one function per symbol of cuda/driver_calls.inc,
// without its per-thread variant. exports.cc calls them, under the driver's lock (this_call) unless
// they may be called at any time.
#pragma once

#include "lab/vgpu/driver_values.h"

namespace stagger::vgpu::api {

#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  CUresult symbol parameters;
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  CUresult symbol parameters;
#include "cuda/driver_calls.inc"

}  // namespace stagger::vgpu::api
