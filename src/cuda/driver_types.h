// The CUDA driver API's types as far as the product uses them: handles, result codes, flags and the
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
// An app may be answered with any of the driver's; these are the ones that matter here.

typedef enum CUresult_enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_UNKNOWN = 999,
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

enum { CU_EVENT_BLOCKING_SYNC = 0x1, CU_EVENT_DISABLE_TIMING = 0x2 };
enum { CU_STREAM_CAPTURE_MODE_RELAXED = 2 };
enum { CU_STREAM_CAPTURE_STATUS_NONE = 0 };
enum { CU_MEMORYTYPE_HOST = 0x01, CU_MEMORYTYPE_UNIFIED = 0x04 };
enum { CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2 };

// ---- Callbacks -------------------------------------------------------------------------------

typedef void (*CUhostFn)(void* userData);
typedef void (*CUstreamCallback)(CUstream stream, CUresult status, void* userData);
typedef size_t (*CUoccupancyB2DSize)(int blockSize);

// ---- Structs ---------------------------------------------------------------------------------
// Those that only pass through us stay incomplete; lab/vgpu/driver_values.h completes some.

typedef struct CUdevprop_st CUdevprop;
typedef struct CUexecAffinityParam_st CUexecAffinityParam;
typedef struct CUctxCreateParams_st CUctxCreateParams;
typedef struct CUDA_MEMCPY3D_BATCH_OP_st CUDA_MEMCPY3D_BATCH_OP;
typedef union CUstreamBatchMemOpParams_union CUstreamBatchMemOpParams;
typedef struct CUmemPoolProps_st CUmemPoolProps;
typedef struct CUmemcpyAttributes_st CUmemcpyAttributes;
typedef union CUlaunchAttributeValue_union CUlaunchAttributeValue;
typedef struct CUlaunchAttribute_st CUlaunchAttribute;
typedef struct CUDA_LAUNCH_PARAMS_st CUDA_LAUNCH_PARAMS;
typedef struct CUDA_KERNEL_NODE_PARAMS_v1_st CUDA_KERNEL_NODE_PARAMS_v1;
typedef struct CUDA_KERNEL_NODE_PARAMS_v2_st CUDA_KERNEL_NODE_PARAMS_v2;
typedef struct CUDA_MEMSET_NODE_PARAMS_st CUDA_MEMSET_NODE_PARAMS;
typedef struct CUDA_HOST_NODE_PARAMS_st CUDA_HOST_NODE_PARAMS;
typedef struct CUgraphEdgeData_st CUgraphEdgeData;
typedef struct CUDA_GRAPH_INSTANTIATE_PARAMS_st CUDA_GRAPH_INSTANTIATE_PARAMS;
typedef struct CUgraphExecUpdateResultInfo_st CUgraphExecUpdateResultInfo;

typedef struct CUmemLocation_st {
  CUmemLocationType type;
  int id;
} CUmemLocation;

typedef CUlaunchAttributeValue CUstreamAttrValue;
typedef CUlaunchAttributeID CUstreamAttrID;

typedef struct CUlaunchConfig_st {
  unsigned int gridDimX, gridDimY, gridDimZ;
  unsigned int blockDimX, blockDimY, blockDimZ;
  unsigned int sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute* attrs;
  unsigned int numAttrs;
} CUlaunchConfig;

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

#endif  // STAGGER_CUDA_DRIVER_TYPES_H_
