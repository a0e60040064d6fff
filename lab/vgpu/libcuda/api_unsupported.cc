// Every call of the list that no other file of this library defines: arrays (textures), launches
// over several devices or as before CUDA 4, streams that wait for a word in memory, pooled memory,
// and graph nodes that only explicit construction makes. Each says that it is not supported.
#include "lab/vgpu/driver_values.h"

namespace stagger::vgpu::api {

#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  __attribute__((weak)) CUresult symbol parameters { return CUDA_ERROR_NOT_SUPPORTED; }
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments)
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "cuda/driver_calls.inc"

}  // namespace stagger::vgpu::api
