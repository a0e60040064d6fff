// The part of the CUDA driver API that this app uses, and the ways in which programs come by it:
// linked, dlopen and dlsym, or cuGetProcAddress. Declared here, so that building needs no toolkit.
#pragma once

#include <cstddef>
#include <string>

namespace cuda_camera {

using Result = int;  // CUresult
using DevicePointer = unsigned long long;
struct ContextTag;
struct ModuleTag;
struct FunctionTag;
struct StreamTag;
struct EventTag;
struct GraphTag;
struct GraphExecTag;
using Context = ContextTag*;
using Module = ModuleTag*;
using Function = FunctionTag*;
using Stream = StreamTag*;
using Event = EventTag*;
using Graph = GraphTag*;
using GraphExec = GraphExecTag*;

inline constexpr Result kNotInitialized = 3;
inline constexpr Result kNotReady = 600;
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr int kCaptureGlobal = 0;
inline constexpr int kCaptureThreadLocal = 1;

// name as cuGetProcAddress knows it, exported symbol, its per-thread suffix (_ptsz, _ptds or
// nothing), the version to ask for, parameters
#define CUDA_CAMERA_FUNCTIONS(X)                                                             \
  X(cuInit, cuInit, , 2000, (unsigned))                                                      \
  X(cuDriverGetVersion, cuDriverGetVersion, , 2020, (int*))                                  \
  X(cuGetErrorName, cuGetErrorName, , 6000, (Result, const char**))                          \
  X(cuDeviceGetAttribute, cuDeviceGetAttribute, , 2000, (int*, int, int))                    \
  X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, , 7000, (Context*, int))             \
  X(cuCtxSetCurrent, cuCtxSetCurrent, , 4000, (Context))                                     \
  X(cuCtxSynchronize, cuCtxSynchronize, , 2000, ())                                          \
  X(cuModuleLoadData, cuModuleLoadData, , 2000, (Module*, const void*))                      \
  X(cuModuleGetFunction, cuModuleGetFunction, , 2000, (Function*, Module, const char*))      \
  X(cuMemAlloc, cuMemAlloc_v2, , 3020, (DevicePointer*, std::size_t))                        \
  X(cuMemHostAlloc, cuMemHostAlloc, , 2020, (void**, std::size_t, unsigned))                 \
  X(cuMemcpyHtoD, cuMemcpyHtoD_v2, _ptds, 7000, (DevicePointer, const void*, std::size_t))   \
  X(cuMemcpyDtoH, cuMemcpyDtoH_v2, _ptds, 7000, (void*, DevicePointer, std::size_t))         \
  X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, _ptsz, 7000,                                    \
    (DevicePointer, const void*, std::size_t, Stream))                                       \
  X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, _ptsz, 7000,                                    \
    (void*, DevicePointer, std::size_t, Stream))                                             \
  X(cuMemsetD32Async, cuMemsetD32Async, _ptsz, 7000,                                         \
    (DevicePointer, unsigned, std::size_t, Stream))                                          \
  X(cuLaunchKernel, cuLaunchKernel, _ptsz, 7000,                                             \
    (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, \
     void**, void**))                                                                        \
  X(cuStreamCreate, cuStreamCreate, , 2000, (Stream*, unsigned))                             \
  X(cuStreamSynchronize, cuStreamSynchronize, _ptsz, 7000, (Stream))                         \
  X(cuStreamQuery, cuStreamQuery, _ptsz, 7000, (Stream))                                     \
  X(cuStreamWaitEvent, cuStreamWaitEvent, _ptsz, 7000, (Stream, Event, unsigned))            \
  X(cuEventCreate, cuEventCreate, , 2000, (Event*, unsigned))                                \
  X(cuEventRecord, cuEventRecord, _ptsz, 7000, (Event, Stream))                              \
  X(cuStreamBeginCapture, cuStreamBeginCapture_v2, _ptsz, 10010, (Stream, int))              \
  X(cuStreamEndCapture, cuStreamEndCapture, _ptsz, 10000, (Stream, Graph*))                  \
  X(cuGraphInstantiateWithFlags, cuGraphInstantiateWithFlags, , 11040,                       \
    (GraphExec*, Graph, unsigned long long))                                                 \
  X(cuGraphLaunch, cuGraphLaunch, _ptsz, 10000, (GraphExec, Stream))

struct Driver {
#define CUDA_CAMERA_MEMBER(name, symbol, suffix, version, parameters) Result(*name) parameters;
  CUDA_CAMERA_FUNCTIONS(CUDA_CAMERA_MEMBER)
#undef CUDA_CAMERA_MEMBER
};

// `how`: "linked" (only in the program that is linked with the driver), "dlsym" or "proc".
// `per_thread`: a null stream means the calling thread's own. Empty, or what failed.
std::string Bind(const std::string& how, bool per_thread, Driver* driver);

// Which of them this program was built for.
const char* DefaultBinding();

}  // namespace cuda_camera
