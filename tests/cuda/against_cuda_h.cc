// Compiles only if our declarations of the driver API agree with the CUDA 13 toolkit's: values,
// layouts, and for each row of driver_calls.inc the version and the signature.
#include <cstddef>
#include <cstdint>
#include <type_traits>

// Shows the old versions too.
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>
#include <cudaTypedefs.h>

// Macros there, enumerators here.
#undef CU_STREAM_LEGACY
#undef CU_STREAM_PER_THREAD
#undef CU_LAUNCH_PARAM_END
#undef CU_LAUNCH_PARAM_BUFFER_POINTER
#undef CU_LAUNCH_PARAM_BUFFER_SIZE
namespace ours {
#include "lab/vgpu/driver_values.h"  // NOLINT: within a namespace, to stand beside the other
}

namespace {

template <typename T>
concept Complete = requires {
  sizeof(T);
};
template <typename T>
constexpr bool kNumber = std::is_integral_v<T> || std::is_enum_v<T>;

// Passed in the same way and, followed through pointers, of the same size.
template <typename A, typename B>
constexpr bool Alike() {
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
    return std::is_void_v<A> && std::is_void_v<B>;
  } else if constexpr (std::is_function_v<A> || std::is_function_v<B>) {
    return std::is_function_v<A> && std::is_function_v<B>;
  } else if constexpr (std::is_pointer_v<A> || std::is_pointer_v<B>) {
    if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>) {
      using To = std::remove_pointer_t<A>;
      using From = std::remove_pointer_t<B>;
      return std::is_const_v<To> == std::is_const_v<From> &&
             Alike<std::remove_cv_t<To>, std::remove_cv_t<From>>();
    } else {
      return false;
    }
  } else if constexpr (kNumber<A> || kNumber<B>) {
    return kNumber<A> && kNumber<B> && sizeof(A) == sizeof(B);
  } else if constexpr (Complete<A> && Complete<B>) {
    return sizeof(A) == sizeof(B) && alignof(A) == alignof(B);
  } else {
    return true;  // passes through us by address only
  }
}

template <typename A, typename B>
constexpr bool kSameCall = false;
template <typename R, typename... A, typename Q, typename... B>
constexpr bool kSameCall<R (*)(A...), Q (*)(B...)> = [] {
  if constexpr (sizeof...(A) == sizeof...(B)) {
    return sizeof(R) == sizeof(Q) && (... && Alike<A, B>());
  } else {
    return false;
  }
}();

}  // namespace

// A function type of ours per row, and beside it the toolkit's of that name and version.
namespace ours {
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  using Of_##symbol = CUresult(*) parameters;                               \
  static_assert(kSameCall<Of_##symbol, ::PFN_##base##_v##since>, #symbol);
#define STAGGER_CUDA_STREAM_CALL(base, symbol, since, suffix, suffix_since, kind, parameters, \
                                 arguments)                                                   \
  using Of_##symbol = CUresult(*) parameters;                                                 \
  static_assert(kSameCall<Of_##symbol, ::PFN_##base##_v##since>, #symbol);                    \
  static_assert(kSameCall<Of_##symbol, ::PFN_##base##_v##suffix_since##suffix>, #symbol #suffix);
#include "cuda/driver_calls.inc"
}  // namespace ours

#define SAME_VALUE(name, ...) \
  static_assert(static_cast<long>(ours::name) == static_cast<long>(::name), #name);
STAGGER_CUDA_RESULTS(SAME_VALUE)
// clang-format off
SAME_VALUE(CU_STREAM_DEFAULT)
SAME_VALUE(CU_STREAM_NON_BLOCKING)
SAME_VALUE(CU_EVENT_DEFAULT)
SAME_VALUE(CU_EVENT_BLOCKING_SYNC)
SAME_VALUE(CU_EVENT_DISABLE_TIMING)
SAME_VALUE(CU_EVENT_INTERPROCESS)
SAME_VALUE(CU_EVENT_RECORD_DEFAULT)
SAME_VALUE(CU_EVENT_RECORD_EXTERNAL)
SAME_VALUE(CU_STREAM_CAPTURE_MODE_GLOBAL)
SAME_VALUE(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
SAME_VALUE(CU_STREAM_CAPTURE_MODE_RELAXED)
SAME_VALUE(CU_STREAM_CAPTURE_STATUS_NONE)
SAME_VALUE(CU_STREAM_CAPTURE_STATUS_ACTIVE)
SAME_VALUE(CU_STREAM_CAPTURE_STATUS_INVALIDATED)
SAME_VALUE(CU_STREAM_ADD_CAPTURE_DEPENDENCIES)
SAME_VALUE(CU_STREAM_SET_CAPTURE_DEPENDENCIES)
SAME_VALUE(CU_GET_PROC_ADDRESS_DEFAULT)
SAME_VALUE(CU_GET_PROC_ADDRESS_LEGACY_STREAM)
SAME_VALUE(CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)
SAME_VALUE(CU_GET_PROC_ADDRESS_SUCCESS)
SAME_VALUE(CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND)
SAME_VALUE(CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT)
SAME_VALUE(CU_MEMORYTYPE_HOST)
SAME_VALUE(CU_MEMORYTYPE_DEVICE)
SAME_VALUE(CU_MEMORYTYPE_ARRAY)
SAME_VALUE(CU_MEMORYTYPE_UNIFIED)
SAME_VALUE(CU_MEM_ATTACH_GLOBAL)
SAME_VALUE(CU_MEM_ATTACH_HOST)
SAME_VALUE(CU_MEM_ATTACH_SINGLE)
SAME_VALUE(CU_GRAPH_NODE_TYPE_KERNEL)
SAME_VALUE(CU_GRAPH_NODE_TYPE_MEMCPY)
SAME_VALUE(CU_GRAPH_NODE_TYPE_MEMSET)
SAME_VALUE(CU_GRAPH_NODE_TYPE_HOST)
SAME_VALUE(CU_GRAPH_NODE_TYPE_GRAPH)
SAME_VALUE(CU_GRAPH_NODE_TYPE_EMPTY)
SAME_VALUE(CU_GRAPH_NODE_TYPE_EVENT_RECORD)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_WARP_SIZE)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_CLOCK_RATE)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)
SAME_VALUE(CU_POINTER_ATTRIBUTE_CONTEXT)
SAME_VALUE(CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
SAME_VALUE(CU_POINTER_ATTRIBUTE_DEVICE_POINTER)
SAME_VALUE(CU_POINTER_ATTRIBUTE_HOST_POINTER)
SAME_VALUE(CU_POINTER_ATTRIBUTE_IS_MANAGED)
SAME_VALUE(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)

#define SAME_LAYOUT(type) \
  static_assert(sizeof(ours::type) == sizeof(::type) && alignof(ours::type) == alignof(::type), #type);
#define SAME_FIELD(type, field) \
  static_assert(offsetof(ours::type, field) == offsetof(::type, field) && \
                sizeof(ours::type::field) == sizeof(::type::field), #type "." #field);
SAME_LAYOUT(CUuuid)
SAME_FIELD(CUuuid, bytes)
SAME_LAYOUT(CUmemLocation)
SAME_FIELD(CUmemLocation, type)
SAME_FIELD(CUmemLocation, id)
SAME_LAYOUT(CUmemcpyAttributes)
SAME_FIELD(CUmemcpyAttributes, srcAccessOrder)
SAME_FIELD(CUmemcpyAttributes, srcLocHint)
SAME_FIELD(CUmemcpyAttributes, dstLocHint)
SAME_FIELD(CUmemcpyAttributes, flags)
SAME_LAYOUT(CUlaunchAttributeValue)
SAME_LAYOUT(CUlaunchAttribute)
SAME_FIELD(CUlaunchAttribute, id)
SAME_FIELD(CUlaunchAttribute, pad)
SAME_FIELD(CUlaunchAttribute, value)
SAME_LAYOUT(CUlaunchConfig)
SAME_FIELD(CUlaunchConfig, gridDimX)
SAME_FIELD(CUlaunchConfig, gridDimY)
SAME_FIELD(CUlaunchConfig, gridDimZ)
SAME_FIELD(CUlaunchConfig, blockDimX)
SAME_FIELD(CUlaunchConfig, blockDimY)
SAME_FIELD(CUlaunchConfig, blockDimZ)
SAME_FIELD(CUlaunchConfig, sharedMemBytes)
SAME_FIELD(CUlaunchConfig, hStream)
SAME_FIELD(CUlaunchConfig, attrs)
SAME_FIELD(CUlaunchConfig, numAttrs)
SAME_LAYOUT(CUDA_LAUNCH_PARAMS)
SAME_FIELD(CUDA_LAUNCH_PARAMS, function)
SAME_FIELD(CUDA_LAUNCH_PARAMS, gridDimX)
SAME_FIELD(CUDA_LAUNCH_PARAMS, gridDimY)
SAME_FIELD(CUDA_LAUNCH_PARAMS, gridDimZ)
SAME_FIELD(CUDA_LAUNCH_PARAMS, blockDimX)
SAME_FIELD(CUDA_LAUNCH_PARAMS, blockDimY)
SAME_FIELD(CUDA_LAUNCH_PARAMS, blockDimZ)
SAME_FIELD(CUDA_LAUNCH_PARAMS, sharedMemBytes)
SAME_FIELD(CUDA_LAUNCH_PARAMS, hStream)
SAME_FIELD(CUDA_LAUNCH_PARAMS, kernelParams)
SAME_LAYOUT(CUDA_MEMCPY2D)
SAME_FIELD(CUDA_MEMCPY2D, srcXInBytes)
SAME_FIELD(CUDA_MEMCPY2D, srcY)
SAME_FIELD(CUDA_MEMCPY2D, srcMemoryType)
SAME_FIELD(CUDA_MEMCPY2D, srcHost)
SAME_FIELD(CUDA_MEMCPY2D, srcDevice)
SAME_FIELD(CUDA_MEMCPY2D, srcArray)
SAME_FIELD(CUDA_MEMCPY2D, srcPitch)
SAME_FIELD(CUDA_MEMCPY2D, dstXInBytes)
SAME_FIELD(CUDA_MEMCPY2D, dstY)
SAME_FIELD(CUDA_MEMCPY2D, dstMemoryType)
SAME_FIELD(CUDA_MEMCPY2D, dstHost)
SAME_FIELD(CUDA_MEMCPY2D, dstDevice)
SAME_FIELD(CUDA_MEMCPY2D, dstArray)
SAME_FIELD(CUDA_MEMCPY2D, dstPitch)
SAME_FIELD(CUDA_MEMCPY2D, WidthInBytes)
SAME_FIELD(CUDA_MEMCPY2D, Height)
SAME_LAYOUT(CUDA_MEMCPY3D)
SAME_FIELD(CUDA_MEMCPY3D, srcXInBytes)
SAME_FIELD(CUDA_MEMCPY3D, srcY)
SAME_FIELD(CUDA_MEMCPY3D, srcZ)
SAME_FIELD(CUDA_MEMCPY3D, srcLOD)
SAME_FIELD(CUDA_MEMCPY3D, srcMemoryType)
SAME_FIELD(CUDA_MEMCPY3D, srcHost)
SAME_FIELD(CUDA_MEMCPY3D, srcDevice)
SAME_FIELD(CUDA_MEMCPY3D, srcArray)
SAME_FIELD(CUDA_MEMCPY3D, reserved0)
SAME_FIELD(CUDA_MEMCPY3D, srcPitch)
SAME_FIELD(CUDA_MEMCPY3D, srcHeight)
SAME_FIELD(CUDA_MEMCPY3D, dstXInBytes)
SAME_FIELD(CUDA_MEMCPY3D, dstY)
SAME_FIELD(CUDA_MEMCPY3D, dstZ)
SAME_FIELD(CUDA_MEMCPY3D, dstLOD)
SAME_FIELD(CUDA_MEMCPY3D, dstMemoryType)
SAME_FIELD(CUDA_MEMCPY3D, dstHost)
SAME_FIELD(CUDA_MEMCPY3D, dstDevice)
SAME_FIELD(CUDA_MEMCPY3D, dstArray)
SAME_FIELD(CUDA_MEMCPY3D, reserved1)
SAME_FIELD(CUDA_MEMCPY3D, dstPitch)
SAME_FIELD(CUDA_MEMCPY3D, dstHeight)
SAME_FIELD(CUDA_MEMCPY3D, WidthInBytes)
SAME_FIELD(CUDA_MEMCPY3D, Height)
SAME_FIELD(CUDA_MEMCPY3D, Depth)
SAME_LAYOUT(CUDA_KERNEL_NODE_PARAMS_v1)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, func)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, gridDimX)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, gridDimY)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, gridDimZ)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, blockDimX)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, blockDimY)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, blockDimZ)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, sharedMemBytes)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, kernelParams)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v1, extra)
SAME_LAYOUT(CUDA_KERNEL_NODE_PARAMS_v2)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, func)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, gridDimX)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, gridDimY)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, gridDimZ)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, blockDimX)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, blockDimY)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, blockDimZ)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, sharedMemBytes)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, kernelParams)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, extra)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, kern)
SAME_FIELD(CUDA_KERNEL_NODE_PARAMS_v2, ctx)
SAME_LAYOUT(CUDA_MEMSET_NODE_PARAMS)
SAME_FIELD(CUDA_MEMSET_NODE_PARAMS, dst)
SAME_FIELD(CUDA_MEMSET_NODE_PARAMS, pitch)
SAME_FIELD(CUDA_MEMSET_NODE_PARAMS, value)
SAME_FIELD(CUDA_MEMSET_NODE_PARAMS, elementSize)
SAME_FIELD(CUDA_MEMSET_NODE_PARAMS, width)
SAME_FIELD(CUDA_MEMSET_NODE_PARAMS, height)
SAME_LAYOUT(CUDA_HOST_NODE_PARAMS)
SAME_FIELD(CUDA_HOST_NODE_PARAMS, fn)
SAME_FIELD(CUDA_HOST_NODE_PARAMS, userData)
SAME_LAYOUT(CUgraphEdgeData)
SAME_FIELD(CUgraphEdgeData, from_port)
SAME_FIELD(CUgraphEdgeData, to_port)
SAME_FIELD(CUgraphEdgeData, type)
SAME_FIELD(CUgraphEdgeData, reserved)
SAME_LAYOUT(CUDA_GRAPH_INSTANTIATE_PARAMS)
SAME_FIELD(CUDA_GRAPH_INSTANTIATE_PARAMS, flags)
SAME_FIELD(CUDA_GRAPH_INSTANTIATE_PARAMS, hUploadStream)
SAME_FIELD(CUDA_GRAPH_INSTANTIATE_PARAMS, hErrNode_out)
SAME_FIELD(CUDA_GRAPH_INSTANTIATE_PARAMS, result_out)
SAME_LAYOUT(CUgraphExecUpdateResultInfo)
SAME_FIELD(CUgraphExecUpdateResultInfo, result)
SAME_FIELD(CUgraphExecUpdateResultInfo, errorNode)
SAME_FIELD(CUgraphExecUpdateResultInfo, errorFromNode)
// clang-format on
