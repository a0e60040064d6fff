// The CUDA driver API's types as far as the project uses them: handles, result codes, flags and the
// structs that calls take. Our own declarations, in plain C, with the layout of the public ABI on
// 64-bit Linux; tests/cuda compares them with cuda.h where one is installed. Names and values are
// NVIDIA's public interface. No functions here, and nothing that runs: driver_calls.inc lists
// those.
#ifndef STAGGER_CUDA_DRIVER_TYPES_H_
#define STAGGER_CUDA_DRIVER_TYPES_H_

#include <stddef.h>  // NOLINT(modernize-deprecated-headers): plain C
#include <stdint.h>  // NOLINT(modernize-deprecated-headers)

// What a driver of ours says it is, and the newest interface the list of calls knows.
#define STAGGER_CUDA_VERSION 13000

// ---- Handles ---------------------------------------------------------------------------------

typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st* CUcontext;
typedef struct CUmod_st* CUmodule;
typedef struct CUfunc_st* CUfunction;
typedef struct CUlib_st* CUlibrary;
typedef struct CUkern_st* CUkernel;
typedef struct CUarray_st* CUarray;
typedef struct CUevent_st* CUevent;
typedef struct CUstream_st* CUstream;
typedef struct CUgraph_st* CUgraph;
typedef struct CUgraphNode_st* CUgraphNode;
typedef struct CUgraphExec_st* CUgraphExec;
typedef struct CUmemPoolHandle_st* CUmemoryPool;

typedef struct CUuuid_st {
  char bytes[16];
} CUuuid;

// Stream handles with a meaning of their own.
#define CU_STREAM_LEGACY ((CUstream)0x1)
#define CU_STREAM_PER_THREAD ((CUstream)0x2)

// ---- Results ---------------------------------------------------------------------------------

// name, value, what cuGetErrorString says in our own words
#define STAGGER_CUDA_RESULTS(X)                                                         \
  X(CUDA_SUCCESS, 0, "no error")                                                        \
  X(CUDA_ERROR_INVALID_VALUE, 1, "invalid argument")                                    \
  X(CUDA_ERROR_OUT_OF_MEMORY, 2, "out of memory")                                       \
  X(CUDA_ERROR_NOT_INITIALIZED, 3, "cuInit has not been called in this process")        \
  X(CUDA_ERROR_DEINITIALIZED, 4, "the driver is shutting down")                         \
  X(CUDA_ERROR_DEVICE_UNAVAILABLE, 46, "the device is busy or gone")                    \
  X(CUDA_ERROR_NO_DEVICE, 100, "no device was found")                                   \
  X(CUDA_ERROR_INVALID_DEVICE, 101, "invalid device ordinal")                           \
  X(CUDA_ERROR_INVALID_IMAGE, 200, "invalid kernel image")                              \
  X(CUDA_ERROR_INVALID_CONTEXT, 201, "no context, or not a valid one")                  \
  X(CUDA_ERROR_NO_BINARY_FOR_GPU, 209, "no kernel image for this device")               \
  X(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, 217, "no peer access between these devices")    \
  X(CUDA_ERROR_FILE_NOT_FOUND, 301, "file not found")                                   \
  X(CUDA_ERROR_OPERATING_SYSTEM, 304, "a system call failed")                           \
  X(CUDA_ERROR_INVALID_HANDLE, 400, "invalid handle")                                   \
  X(CUDA_ERROR_ILLEGAL_STATE, 401, "the object is not in the state this call needs")    \
  X(CUDA_ERROR_NOT_FOUND, 500, "no such symbol")                                        \
  X(CUDA_ERROR_NOT_READY, 600, "not ready yet")                                         \
  X(CUDA_ERROR_ILLEGAL_ADDRESS, 700, "a kernel used an illegal address")                \
  X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701, "too many resources asked of a launch")    \
  X(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, 708, "the primary context is active already")    \
  X(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709, "the context has been destroyed")             \
  X(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712, "memory registered already")        \
  X(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713, "memory is not registered")             \
  X(CUDA_ERROR_LAUNCH_FAILED, 719, "a kernel failed")                                   \
  X(CUDA_ERROR_NOT_PERMITTED, 800, "not permitted here")                                \
  X(CUDA_ERROR_NOT_SUPPORTED, 801, "not supported")                                     \
  X(CUDA_ERROR_MPS_CONNECTION_FAILED, 805, "no connection to the MPS server")           \
  X(CUDA_ERROR_MPS_RPC_FAILURE, 806, "the MPS server does not answer")                  \
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
  X(CUDA_ERROR_TIMEOUT, 909, "timed out")                                               \
  X(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, 910, "the graph cannot be updated so")        \
  X(CUDA_ERROR_UNKNOWN, 999, "unknown error")

typedef enum CUresult_enum {
#define STAGGER_CUDA_ENUMERATOR(name, value, text) \
  name = value,  // NOLINT(bugprone-macro-parentheses)
  STAGGER_CUDA_RESULTS(STAGGER_CUDA_ENUMERATOR)
#undef STAGGER_CUDA_ENUMERATOR
} CUresult;

// ---- Flags and choices -----------------------------------------------------------------------
// Parameters of these kinds are declared as the int or unsigned that the ABI passes: an app may
// hand over a value that is newer than this list.

typedef int CUdevice_attribute;
typedef int CUfunction_attribute;
typedef int CUfunc_cache;
typedef int CUlimit;
typedef int CUjit_option;
typedef int CUlibraryOption;
typedef int CUpointer_attribute;
typedef int CUmem_advise;
typedef int CUmemPool_attribute;
typedef int CUmemorytype;
typedef int CUmemLocationType;
typedef int CUstreamCaptureMode;
typedef int CUstreamCaptureStatus;
typedef int CUgraphNodeType;
typedef int CUgraphExecUpdateResult;
typedef int CUgraphInstantiateResult;
typedef int CUdriverProcAddressQueryResult;
typedef int CUmoduleLoadingMode;
typedef int CUlaunchAttributeID;

enum {
  CU_CTX_SCHED_AUTO = 0x00,
  CU_CTX_SCHED_SPIN = 0x01,
  CU_CTX_SCHED_YIELD = 0x02,
  CU_CTX_SCHED_BLOCKING_SYNC = 0x04,
  CU_CTX_MAP_HOST = 0x08,
};
enum { CU_STREAM_DEFAULT = 0x0, CU_STREAM_NON_BLOCKING = 0x1 };
enum {
  CU_EVENT_DEFAULT = 0x0,
  CU_EVENT_BLOCKING_SYNC = 0x1,
  CU_EVENT_DISABLE_TIMING = 0x2,
  CU_EVENT_INTERPROCESS = 0x4,
};
enum { CU_EVENT_RECORD_DEFAULT = 0x0, CU_EVENT_RECORD_EXTERNAL = 0x1 };
enum { CU_EVENT_WAIT_DEFAULT = 0x0, CU_EVENT_WAIT_EXTERNAL = 0x1 };
enum {
  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
};
enum {
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
};
enum { CU_STREAM_ADD_CAPTURE_DEPENDENCIES = 0x0, CU_STREAM_SET_CAPTURE_DEPENDENCIES = 0x1 };
enum {
  CU_STREAM_WAIT_VALUE_GEQ = 0x0,
  CU_STREAM_WAIT_VALUE_EQ = 0x1,
  CU_STREAM_WAIT_VALUE_AND = 0x2,
  CU_STREAM_WAIT_VALUE_NOR = 0x3,
};
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
  CU_MEMORYTYPE_HOST = 0x01,
  CU_MEMORYTYPE_DEVICE = 0x02,
  CU_MEMORYTYPE_ARRAY = 0x03,
  CU_MEMORYTYPE_UNIFIED = 0x04,
};
enum {
  CU_MEMHOSTALLOC_PORTABLE = 0x1,
  CU_MEMHOSTALLOC_DEVICEMAP = 0x2,
  CU_MEMHOSTALLOC_WRITECOMBINED = 0x4,
};
enum { CU_MEM_ATTACH_GLOBAL = 0x1, CU_MEM_ATTACH_HOST = 0x2, CU_MEM_ATTACH_SINGLE = 0x4 };
enum { CU_MEM_LOCATION_TYPE_DEVICE = 1, CU_MEM_LOCATION_TYPE_HOST = 2 };
enum {
  CU_GRAPH_NODE_TYPE_KERNEL = 0,
  CU_GRAPH_NODE_TYPE_MEMCPY = 1,
  CU_GRAPH_NODE_TYPE_MEMSET = 2,
  CU_GRAPH_NODE_TYPE_HOST = 3,
  CU_GRAPH_NODE_TYPE_GRAPH = 4,
  CU_GRAPH_NODE_TYPE_EMPTY = 5,
  CU_GRAPH_NODE_TYPE_WAIT_EVENT = 6,
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
  CU_DEVICE_ATTRIBUTE_INTEGRATED = 18,
  CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
  CU_DEVICE_ATTRIBUTE_COMPUTE_MODE = 20,
  CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS = 31,
  CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
  CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
  CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
  CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
  CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID = 50,
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
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_POINTER = 3,
  CU_POINTER_ATTRIBUTE_HOST_POINTER = 4,
  CU_POINTER_ATTRIBUTE_IS_MANAGED = 8,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
};

// The end marker of `extra` at a launch, and what stands before a buffer and its size.
#define CU_LAUNCH_PARAM_END ((void*)0x00)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void*)0x01)
#define CU_LAUNCH_PARAM_BUFFER_SIZE ((void*)0x02)

// ---- Callbacks -------------------------------------------------------------------------------

typedef void (*CUhostFn)(void* userData);
typedef void (*CUstreamCallback)(CUstream stream, CUresult status, void* userData);
typedef size_t (*CUoccupancyB2DSize)(int blockSize);

// ---- Structs ---------------------------------------------------------------------------------
// Those that only pass through us stay incomplete.

typedef struct CUdevprop_st CUdevprop;
typedef struct CUexecAffinityParam_st CUexecAffinityParam;
typedef struct CUctxCreateParams_st CUctxCreateParams;
typedef struct CUDA_MEMCPY3D_BATCH_OP_st CUDA_MEMCPY3D_BATCH_OP;
typedef union CUstreamBatchMemOpParams_union CUstreamBatchMemOpParams;
typedef struct CUmemPoolProps_st CUmemPoolProps;

typedef struct CUmemLocation_st {
  CUmemLocationType type;
  int id;
} CUmemLocation;

typedef struct CUmemcpyAttributes_st {
  int srcAccessOrder;
  CUmemLocation srcLocHint;
  CUmemLocation dstLocHint;
  unsigned int flags;
} CUmemcpyAttributes;

// 64 bytes whatever it holds; nobody here looks inside.
typedef union CUlaunchAttributeValue_union {
  char bytes[64];
  unsigned long long alignment;
} CUlaunchAttributeValue;
typedef CUlaunchAttributeValue CUstreamAttrValue;
typedef CUlaunchAttributeID CUstreamAttrID;

typedef struct CUlaunchAttribute_st {
  CUlaunchAttributeID id;
  char pad[4];
  CUlaunchAttributeValue value;
} CUlaunchAttribute;

typedef struct CUlaunchConfig_st {
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute* attrs;
  unsigned int numAttrs;
} CUlaunchConfig;

typedef struct CUDA_LAUNCH_PARAMS_st {
  CUfunction function;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  void** kernelParams;
} CUDA_LAUNCH_PARAMS;

typedef struct CUDA_MEMCPY2D_st {
  size_t srcXInBytes, srcY;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  size_t srcPitch;
  size_t dstXInBytes, dstY;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  size_t dstPitch;
  size_t WidthInBytes, Height;
} CUDA_MEMCPY2D;

typedef struct CUDA_MEMCPY3D_st {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  void* reserved0;
  size_t srcPitch, srcHeight;
  size_t dstXInBytes, dstY, dstZ, dstLOD;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  void* reserved1;
  size_t dstPitch, dstHeight;
  size_t WidthInBytes, Height, Depth;
} CUDA_MEMCPY3D;

// As CUDA_MEMCPY3D, with a context in place of each reserved field.
typedef struct CUDA_MEMCPY3D_PEER_st CUDA_MEMCPY3D_PEER;

typedef struct CUDA_KERNEL_NODE_PARAMS_v1_st {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  void** kernelParams;
  void** extra;
} CUDA_KERNEL_NODE_PARAMS_v1;

typedef struct CUDA_KERNEL_NODE_PARAMS_v2_st {
  CUfunction func;
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  void** kernelParams;
  void** extra;
  CUkernel kern;
  CUcontext ctx;
} CUDA_KERNEL_NODE_PARAMS_v2;

typedef struct CUDA_MEMSET_NODE_PARAMS_st {
  CUdeviceptr dst;
  size_t pitch;
  unsigned int value;
  unsigned int elementSize;
  size_t width;
  size_t height;
} CUDA_MEMSET_NODE_PARAMS;

typedef struct CUDA_HOST_NODE_PARAMS_st {
  CUhostFn fn;
  void* userData;
} CUDA_HOST_NODE_PARAMS;

typedef struct CUgraphEdgeData_st {
  unsigned char from_port, to_port, type;
  unsigned char reserved[5];
} CUgraphEdgeData;

typedef struct CUDA_GRAPH_INSTANTIATE_PARAMS_st {
  unsigned long long flags;
  CUstream hUploadStream;
  CUgraphNode hErrNode_out;
  CUgraphInstantiateResult result_out;
} CUDA_GRAPH_INSTANTIATE_PARAMS;

typedef struct CUgraphExecUpdateResultInfo_st {
  CUgraphExecUpdateResult result;
  CUgraphNode errorNode;
  CUgraphNode errorFromNode;
} CUgraphExecUpdateResultInfo;

#endif  // STAGGER_CUDA_DRIVER_TYPES_H_
