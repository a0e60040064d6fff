// Calls of the list that these devices do not answer: arrays, memory pools, streams that wait for a
// word in memory, graph nodes that only explicit construction makes, and what no program asks of a
// virtual GPU. Each says so, unless a file beside this one defines it.
#include "lab/vgpu/libcuda/api.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

namespace stagger::vgpu::api {

#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  __attribute__((weak)) CUresult symbol parameters { return CUDA_ERROR_NOT_SUPPORTED; }
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  __attribute__((weak)) CUresult symbol parameters { return CUDA_ERROR_NOT_SUPPORTED; }
#include "cuda/driver_calls.inc"

}  // namespace stagger::vgpu::api
