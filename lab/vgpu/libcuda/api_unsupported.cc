// What these devices have not got: arrays (textures), launches over several devices, launches as
// before CUDA 4, streams that wait for a word in memory, and graph nodes that only explicit
// construction makes. Each says so.
#include "lab/vgpu/libcuda/api.h"

namespace stagger::vgpu::api {

#define STAGGER_UNSUPPORTED(name, ...) \
  CUresult name(__VA_ARGS__) { return CUDA_ERROR_NOT_SUPPORTED; }

STAGGER_UNSUPPORTED(cuMemcpyDtoA_v2, CUarray, size_t, CUdeviceptr, size_t)
STAGGER_UNSUPPORTED(cuMemcpyAtoD_v2, CUdeviceptr, CUarray, size_t, size_t)
STAGGER_UNSUPPORTED(cuMemcpyHtoA_v2, CUarray, size_t, const void*, size_t)
STAGGER_UNSUPPORTED(cuMemcpyHtoAAsync_v2, CUarray, size_t, const void*, size_t, CUstream)
STAGGER_UNSUPPORTED(cuMemcpyAtoH_v2, void*, CUarray, size_t, size_t)
STAGGER_UNSUPPORTED(cuMemcpyAtoHAsync_v2, void*, CUarray, size_t, size_t, CUstream)
STAGGER_UNSUPPORTED(cuMemcpyAtoA_v2, CUarray, size_t, CUarray, size_t, size_t)
STAGGER_UNSUPPORTED(cuMemcpy3DPeer, const CUDA_MEMCPY3D_PEER*)
STAGGER_UNSUPPORTED(cuMemcpy3DPeerAsync, const CUDA_MEMCPY3D_PEER*, CUstream)
STAGGER_UNSUPPORTED(cuMemcpy3DBatchAsync, size_t, CUDA_MEMCPY3D_BATCH_OP*, size_t*,
                    unsigned long long, CUstream)
STAGGER_UNSUPPORTED(cuMemcpy3DBatchAsync_v2, size_t, CUDA_MEMCPY3D_BATCH_OP*, unsigned long long,
                    CUstream)

STAGGER_UNSUPPORTED(cuLaunchCooperativeKernelMultiDevice, CUDA_LAUNCH_PARAMS*, unsigned int,
                    unsigned int)
STAGGER_UNSUPPORTED(cuLaunch, CUfunction)
STAGGER_UNSUPPORTED(cuLaunchGrid, CUfunction, int, int)
STAGGER_UNSUPPORTED(cuLaunchGridAsync, CUfunction, int, int, CUstream)

STAGGER_UNSUPPORTED(cuStreamWaitValue32, CUstream, CUdeviceptr, unsigned int, unsigned int)
STAGGER_UNSUPPORTED(cuStreamWaitValue32_v2, CUstream, CUdeviceptr, unsigned int, unsigned int)
STAGGER_UNSUPPORTED(cuStreamWaitValue64, CUstream, CUdeviceptr, unsigned long, unsigned int)
STAGGER_UNSUPPORTED(cuStreamWaitValue64_v2, CUstream, CUdeviceptr, unsigned long, unsigned int)
STAGGER_UNSUPPORTED(cuStreamBatchMemOp, CUstream, unsigned int, CUstreamBatchMemOpParams*,
                    unsigned int)
STAGGER_UNSUPPORTED(cuStreamBatchMemOp_v2, CUstream, unsigned int, CUstreamBatchMemOpParams*,
                    unsigned int)

STAGGER_UNSUPPORTED(cuGraphAddMemcpyNode, CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                    const CUDA_MEMCPY3D*, CUcontext)
STAGGER_UNSUPPORTED(cuGraphAddMemsetNode, CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                    const CUDA_MEMSET_NODE_PARAMS*, CUcontext)
STAGGER_UNSUPPORTED(cuGraphAddEventWaitNode, CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                    CUevent)
STAGGER_UNSUPPORTED(cuGraphDestroyNode, CUgraphNode)
STAGGER_UNSUPPORTED(cuGraphKernelNodeGetParams, CUgraphNode, CUDA_KERNEL_NODE_PARAMS_v1*)
STAGGER_UNSUPPORTED(cuGraphKernelNodeGetParams_v2, CUgraphNode, CUDA_KERNEL_NODE_PARAMS_v2*)

#undef STAGGER_UNSUPPORTED

}  // namespace stagger::vgpu::api
