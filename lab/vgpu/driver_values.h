// What of the CUDA driver API only a driver says, or an app that tests one: results and their
// texts, attributes, the insides of structs. As cuda/driver_types.h: NVIDIA's public interface,
// with the layout of the ABI; tests/cuda compares it with cuda.h where one is installed.
#pragma once

#include "cuda/driver_types.h"

// name, value, what cuGetErrorString says in our own words
#define STAGGER_CUDA_RESULTS(X)                  \
  X(CUDA_SUCCESS, 0, "no error")                 \
  X(CUDA_ERROR_NOT_FOUND, 500, "no such symbol") \
  X(CUDA_ERROR_NOT_READY, 600, "not ready yet")  \
  X(CUDA_ERROR_UNKNOWN, 999, "unknown error")    \
  STAGGER_CUDA_OTHER_RESULTS(X)
#define STAGGER_CUDA_OTHER_RESULTS(X)                                                   \
  X(CUDA_ERROR_INVALID_VALUE, 1, "invalid argument")                                    \
  X(CUDA_ERROR_OUT_OF_MEMORY, 2, "out of memory")                                       \
  X(CUDA_ERROR_NOT_INITIALIZED, 3, "cuInit has not been called in this process")        \
  X(CUDA_ERROR_DEINITIALIZED, 4, "the driver is shutting down")                         \
  X(CUDA_ERROR_DEVICE_UNAVAILABLE, 46, "the device is busy or gone")                    \
  X(CUDA_ERROR_NO_DEVICE, 100, "no device was found")                                   \
  X(CUDA_ERROR_INVALID_DEVICE, 101, "invalid device ordinal")                           \
  X(CUDA_ERROR_INVALID_IMAGE, 200, "invalid kernel image")                              \
  X(CUDA_ERROR_INVALID_CONTEXT, 201, "no context, or not a valid one")                  \
  X(CUDA_ERROR_FILE_NOT_FOUND, 301, "file not found")                                   \
  X(CUDA_ERROR_INVALID_HANDLE, 400, "invalid handle")                                   \
  X(CUDA_ERROR_ILLEGAL_STATE, 401, "the object is not in the state this call needs")    \
  X(CUDA_ERROR_ILLEGAL_ADDRESS, 700, "a kernel used an illegal address")                \
  X(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712, "memory registered already")        \
  X(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713, "memory is not registered")             \
  X(CUDA_ERROR_LAUNCH_FAILED, 719, "a kernel failed")                                   \
  X(CUDA_ERROR_NOT_PERMITTED, 800, "not permitted here")                                \
  X(CUDA_ERROR_NOT_SUPPORTED, 801, "not supported")                                     \
  X(CUDA_ERROR_MPS_CONNECTION_FAILED, 805, "no connection to the MPS server")           \
  X(CUDA_ERROR_MPS_CLIENT_TERMINATED, 810, "another MPS client's fault ended this")     \
  X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900, "not allowed while capturing")          \
  X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901, "the capture has been invalidated")     \
  X(CUDA_ERROR_STREAM_CAPTURE_MERGE, 902, "two captures would become one")              \
  X(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, 903, "this stream did not begin a capture")    \
  X(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, 904, "a captured stream was not joined")        \
  X(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905, "outside work would join a capture")      \
  X(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 906, "the legacy stream would join a capture")  \
  X(CUDA_ERROR_CAPTURED_EVENT, 907, "the event was last recorded in a capture")         \
  X(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, 908, "the capture began on another thread") \
  X(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, 910, "the graph cannot be updated so")

#define STAGGER_CUDA_RESULT(name, value, text) \
  inline constexpr CUresult name = static_cast<CUresult>(value);
STAGGER_CUDA_OTHER_RESULTS(STAGGER_CUDA_RESULT)
#undef STAGGER_CUDA_RESULT

enum { CU_STREAM_DEFAULT = 0x0, CU_STREAM_NON_BLOCKING = 0x1 };
enum {
  CU_EVENT_DEFAULT = 0x0,
  CU_EVENT_INTERPROCESS = 0x4,
};
enum { CU_EVENT_RECORD_DEFAULT = 0x0, CU_EVENT_RECORD_EXTERNAL = 0x1 };
enum {
  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
};
enum {
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
};
enum { CU_STREAM_ADD_CAPTURE_DEPENDENCIES = 0x0, CU_STREAM_SET_CAPTURE_DEPENDENCIES = 0x1 };
enum {
  CU_GET_PROC_ADDRESS_DEFAULT = 0x0,
  CU_GET_PROC_ADDRESS_LEGACY_STREAM = 0x1,
  CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM = 0x2,
};
enum {
  CU_GET_PROC_ADDRESS_SUCCESS = 0,
  CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND = 1,
  CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT = 2,
};
enum {
  CU_MEMORYTYPE_DEVICE = 0x02,
  CU_MEMORYTYPE_ARRAY = 0x03,
};
enum { CU_MEM_ATTACH_GLOBAL = 0x1, CU_MEM_ATTACH_HOST = 0x2, CU_MEM_ATTACH_SINGLE = 0x4 };
enum {
  CU_GRAPH_NODE_TYPE_KERNEL = 0,
  CU_GRAPH_NODE_TYPE_MEMCPY = 1,
  CU_GRAPH_NODE_TYPE_MEMSET = 2,
  CU_GRAPH_NODE_TYPE_HOST = 3,
  CU_GRAPH_NODE_TYPE_GRAPH = 4,
  CU_GRAPH_NODE_TYPE_EMPTY = 5,
  CU_GRAPH_NODE_TYPE_EVENT_RECORD = 7,
};
enum {
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y = 3,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z = 4,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y = 6,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z = 7,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
  CU_DEVICE_ATTRIBUTE_WARP_SIZE = 10,
  CU_DEVICE_ATTRIBUTE_CLOCK_RATE = 13,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
  CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS = 31,
  CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
  CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
  CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
  CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED = 78,
  CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY = 83,
  CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS = 89,
  CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED = 90,
  CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
  CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
};
enum {
  CU_POINTER_ATTRIBUTE_CONTEXT = 1,
  CU_POINTER_ATTRIBUTE_DEVICE_POINTER = 3,
  CU_POINTER_ATTRIBUTE_HOST_POINTER = 4,
  CU_POINTER_ATTRIBUTE_IS_MANAGED = 8,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
};

// The end marker of `extra` at a launch, and what stands before a buffer and its size.
#define CU_LAUNCH_PARAM_END ((void*)0x00)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void*)0x01)
#define CU_LAUNCH_PARAM_BUFFER_SIZE ((void*)0x02)

struct CUmemcpyAttributes_st {
  int srcAccessOrder;
  CUmemLocation srcLocHint;
  CUmemLocation dstLocHint;
  unsigned int flags;
};

// 64 bytes whatever it holds; nobody here looks inside.
union CUlaunchAttributeValue_union {
  char bytes[64];
  unsigned long long alignment;
};

struct CUlaunchAttribute_st {
  CUlaunchAttributeID id;
  char pad[4];
  CUlaunchAttributeValue value;
};

struct CUDA_LAUNCH_PARAMS_st {
  CUfunction function;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  void** kernelParams;
};

struct CUDA_KERNEL_NODE_PARAMS_v1_st {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  void** kernelParams;
  void** extra;
};

struct CUDA_KERNEL_NODE_PARAMS_v2_st {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  void** kernelParams;
  void** extra;
  CUkernel kern;
  CUcontext ctx;
};

struct CUDA_MEMSET_NODE_PARAMS_st {
  CUdeviceptr dst;
  size_t pitch;
  unsigned int value;
  unsigned int elementSize;
  size_t width;
  size_t height;
};

struct CUDA_HOST_NODE_PARAMS_st {
  CUhostFn fn;
  void* userData;
};

struct CUgraphEdgeData_st {
  unsigned char from_port, to_port, type;
  unsigned char reserved[5];
};

struct CUDA_GRAPH_INSTANTIATE_PARAMS_st {
  unsigned long long flags;
  CUstream hUploadStream;
  CUgraphNode hErrNode_out;
  CUgraphInstantiateResult result_out;
};

struct CUgraphExecUpdateResultInfo_st {
  CUgraphExecUpdateResult result;
  CUgraphNode errorNode;
  CUgraphNode errorFromNode;
};
