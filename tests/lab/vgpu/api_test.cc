// The driver API as the virtual GPU's libcuda.so.1 gives it, but for captures and graphs.
#include <dlfcn.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>

#include "cuda/driver_calls.h"
#include "cuda_api.h"

namespace stagger::vgpu {
namespace {

TEST_F(CudaApi, ExportsAndAnswersEveryCallOfTheList) {
  for (const stagger::cuda::Call& call : stagger::cuda::kCalls) {
    const std::string symbol(call.symbol);
    EXPECT_NE(dlsym(RTLD_DEFAULT, symbol.c_str()), nullptr) << symbol;
    const std::string base(call.base);
    void* function = nullptr;
    int status = -1;
    const unsigned long flags = call.per_thread ? CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
                                                : CU_GET_PROC_ADDRESS_LEGACY_STREAM;
    EXPECT_EQ(cuGetProcAddress_v2(base.c_str(), &function, call.since, flags, &status),
              CUDA_SUCCESS);
    EXPECT_EQ(function, dlsym(RTLD_DEFAULT, symbol.c_str())) << symbol << " of " << base;
    EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
  }
}

TEST_F(CudaApi, SaysWhyACallIsNotToBeHad) {
  void* function = &function;
  int status = -1;
  EXPECT_EQ(cuGetProcAddress_v2("cuNothing", &function, 13000, 0, &status), CUDA_SUCCESS);
  EXPECT_EQ(function, nullptr);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  EXPECT_EQ(cuGetProcAddress_v2("cuLibraryLoadData", &function, 11000, 0, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  EXPECT_EQ(cuGetProcAddress("cuNothing", &function, 13000, 0), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(cuGetProcAddress("cuInit", &function, 13000, 64), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(CudaApi, HasNoPrivateTables) {
  const void* table = &table;
  const CUuuid id{};
  EXPECT_EQ(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(table, nullptr);
}

TEST_F(CudaApi, NamesItsErrors) {
  const char* text = nullptr;
  EXPECT_EQ(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_EQ(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text), CUDA_SUCCESS);
  EXPECT_STREQ(text, "out of memory");
  EXPECT_EQ(cuGetErrorName(static_cast<CUresult>(998), &text), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(CudaApi, RefusesWhatIsNotAHandle) {
  EXPECT_EQ(cuStreamSynchronize(reinterpret_cast<CUstream>(event)), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamDestroy_v2(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuStreamDestroy_v2(stream), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuEventRecord(nullptr, other), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, other, nullptr, nullptr),
            CUDA_ERROR_INVALID_HANDLE);
  std::thread([this] {
    EXPECT_EQ(cuStreamSynchronize(nullptr), CUDA_ERROR_INVALID_CONTEXT);
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAlloc_v2(&address, 1), CUDA_ERROR_INVALID_CONTEXT);
    EXPECT_EQ(cuStreamSynchronize(other), CUDA_SUCCESS) << "a stream brings its context";
  }).join();
}

TEST_F(CudaApi, KeepsAStackOfContextsPerThread) {
  CUcontext second = nullptr;
  CUcontext current = nullptr;
  ASSERT_EQ(cuCtxCreate_v2(&second, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxGetCurrent(&current), CUDA_SUCCESS);
  EXPECT_EQ(current, second);
  EXPECT_EQ(cuCtxPopCurrent_v2(&current), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxGetCurrent(&current), CUDA_SUCCESS);
  EXPECT_EQ(current, context);
  EXPECT_EQ(cuCtxDestroy_v2(second), CUDA_SUCCESS);
  EXPECT_EQ(cuCtxSetCurrent(second), CUDA_ERROR_INVALID_CONTEXT);
  unsigned flags = 0;
  int active = -1;
  EXPECT_EQ(cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
  EXPECT_EQ(active, 0);
  EXPECT_EQ(cuDevicePrimaryCtxRetain(&second, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
  EXPECT_EQ(active, 1);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
}

TEST_F(CudaApi, TimesKernelsByTheModel) {
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event, stream), CUDA_SUCCESS);
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event2, stream), CUDA_SUCCESS);
  float ms = 0;
  EXPECT_EQ(cuEventElapsedTime(&ms, event, event2), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(cuEventQuery(event2), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(cuEventSynchronize(event2), CUDA_SUCCESS);
  EXPECT_EQ(cuEventElapsedTime(&ms, event, event2), CUDA_SUCCESS);
  EXPECT_EQ(ms, 5.0f) << "to the nanosecond: the second starts when the first ends";
  EXPECT_EQ(cuStreamQuery(stream), CUDA_SUCCESS);
}

TEST_F(CudaApi, StreamsOverlapAndTheLegacyOneDoesNot) {
  CUevent begin = nullptr;
  ASSERT_EQ(cuEventCreate(&begin, 0), CUDA_SUCCESS);
  const auto together = [&](CUstream first, CUstream second) {
    EXPECT_EQ(cuCtxSynchronize(), CUDA_SUCCESS);
    EXPECT_EQ(cuEventRecord(begin, first), CUDA_SUCCESS);
    EXPECT_EQ(LaunchSlow(first), CUDA_SUCCESS);
    EXPECT_EQ(LaunchSlow(second), CUDA_SUCCESS);
    EXPECT_EQ(cuEventRecord(event2, second), CUDA_SUCCESS);
    EXPECT_EQ(cuCtxSynchronize(), CUDA_SUCCESS);
    float ms = 0;
    EXPECT_EQ(cuEventElapsedTime(&ms, begin, event2), CUDA_SUCCESS);
    return ms;
  };
  EXPECT_LT(together(stream, other), 9);
  EXPECT_LT(together(stream, nullptr), 9);
  EXPECT_GE(together(blocking, nullptr), 10);
  EXPECT_GE(together(nullptr, blocking), 10);
  EXPECT_GE(together(CU_STREAM_LEGACY, CU_STREAM_PER_THREAD), 10);
}

TEST_F(CudaApi, PerThreadStreamsOfTwoThreadsOverlap) {
  std::atomic<int> ready{0};
  const auto work = [&](CUevent done) {
    EXPECT_EQ(cuCtxSetCurrent(context), CUDA_SUCCESS);
    ++ready;
    while (ready < 2) std::this_thread::yield();
    EXPECT_EQ(LaunchSlow(nullptr, true), CUDA_SUCCESS);
    EXPECT_EQ(LaunchSlow(nullptr, true), CUDA_SUCCESS);
    EXPECT_EQ(cuEventRecord_ptsz(done, nullptr), CUDA_SUCCESS);
    EXPECT_EQ(cuStreamSynchronize_ptsz(nullptr), CUDA_SUCCESS);
  };
  std::thread first(work, event);
  std::thread second(work, event2);
  first.join();
  second.join();
  float ms = 0;
  EXPECT_EQ(cuEventElapsedTime(&ms, event, event2), CUDA_SUCCESS);
  EXPECT_LT(std::abs(ms), 10) << "one after the other would be 10 ms apart";
}

TEST_F(CudaApi, EventsOrderStreams) {
  Put(a, 3);
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(Launch(add, b, a, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWaitEvent(other, event, 0), CUDA_SUCCESS);
  EXPECT_EQ(Launch(copy, a, b, other), CUDA_SUCCESS);
  EXPECT_EQ(Launch(add, a, a, other), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(other), CUDA_SUCCESS);
  EXPECT_EQ(Value(a), 6);
}

TEST_F(CudaApi, HostFunctionsRunInOrderAndMayNotCall) {
  struct Seen {
    std::atomic<int> step{0};
    int first = 0;
    CUresult inside = CUDA_SUCCESS;
    CUresult status = CUDA_ERROR_UNKNOWN;
  } seen;
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuLaunchHostFunc(
                stream,
                [](void* data) {
                  auto* s = static_cast<Seen*>(data);
                  s->first = ++s->step;
                  s->inside = cuCtxSynchronize();
                },
                &seen),
            CUDA_SUCCESS);
  EXPECT_EQ(cuStreamAddCallback(
                stream,
                [](CUstream, CUresult status, void* data) {
                  auto* s = static_cast<Seen*>(data);
                  s->status = status;
                  ++s->step;
                },
                &seen, 0),
            CUDA_SUCCESS);
  EXPECT_EQ(seen.step, 0);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(seen.step, 2);
  EXPECT_EQ(seen.first, 1);
  EXPECT_EQ(seen.inside, CUDA_ERROR_NOT_PERMITTED);
  EXPECT_EQ(seen.status, CUDA_SUCCESS);
}

TEST_F(CudaApi, CountsMemory) {
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t total = 0;
  EXPECT_EQ(cuMemGetInfo_v2(&before, &total), CUDA_SUCCESS);
  CUdeviceptr large = 0;
  EXPECT_EQ(cuMemAlloc_v2(&large, total), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(cuMemAlloc_v2(&large, before), CUDA_SUCCESS);
  EXPECT_EQ(cuMemGetInfo_v2(&after, &total), CUDA_SUCCESS);
  EXPECT_EQ(after, 0u);
  CUdeviceptr more = 0;
  EXPECT_EQ(cuMemAlloc_v2(&more, 1), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(cuMemFree_v2(large + 8), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemFree_v2(large), CUDA_SUCCESS);
  EXPECT_EQ(cuMemFree_v2(large), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemGetInfo_v2(&after, &total), CUDA_SUCCESS);
  EXPECT_EQ(after, before);
}

TEST_F(CudaApi, FreesInStreamOrder) {
  CUdeviceptr temporary = 0;
  ASSERT_EQ(cuMemAllocAsync(&temporary, kBytes, stream), CUDA_SUCCESS);
  Put(a, 4);
  EXPECT_EQ(Launch(copy, temporary, a, stream), CUDA_SUCCESS);
  EXPECT_EQ(Launch(add, b, temporary, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuMemFreeAsync(temporary, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 4);
  EXPECT_EQ(cuMemFree_v2(temporary), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(CudaApi, ReadsPageableMemoryBeforeItReturns) {
  std::vector<float> pageable(kCount, 5);
  void* memory = nullptr;
  ASSERT_EQ(cuMemHostAlloc(&memory, kBytes, 0), CUDA_SUCCESS);
  auto* pinned = static_cast<float*>(memory);
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuMemcpyHtoDAsync_v2(a, pageable.data(), kBytes, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuMemcpyHtoDAsync_v2(b, pinned, kBytes, stream), CUDA_SUCCESS);
  std::fill(pageable.begin(), pageable.end(), 7.0f);
  std::fill(pinned, pinned + kCount, 7.0f);
  // Into pageable memory is waited for.
  EXPECT_EQ(cuMemcpyDtoHAsync_v2(pageable.data(), a, kBytes, stream), CUDA_SUCCESS);
  EXPECT_EQ(pageable[0], 5);
  EXPECT_EQ(Value(b), 7) << "pinned memory is read when the copy runs";
  EXPECT_EQ(cuMemFreeHost(memory), CUDA_SUCCESS);
}

TEST_F(CudaApi, CopiesRowsAndFills) {
  CUdeviceptr pitched = 0;
  std::size_t pitch = 0;
  ASSERT_EQ(cuMemAllocPitch_v2(&pitched, &pitch, 12, 4, 4), CUDA_SUCCESS);
  EXPECT_GE(pitch, 12u);
  unsigned char rows[4][12];
  std::memset(rows, 9, sizeof rows);
  CUDA_MEMCPY2D to{};
  to.srcMemoryType = CU_MEMORYTYPE_HOST;
  to.srcHost = rows;
  to.srcPitch = 12;
  to.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  to.dstDevice = pitched;
  to.dstPitch = pitch;
  to.WidthInBytes = 12;
  to.Height = 4;
  EXPECT_EQ(cuMemcpy2D_v2(&to), CUDA_SUCCESS);
  EXPECT_EQ(cuMemsetD2D8_v2(pitched + 4, pitch, 1, 4, 2), CUDA_SUCCESS);
  unsigned char row[12] = {};
  EXPECT_EQ(cuMemcpyDtoH_v2(row, pitched + pitch, 12), CUDA_SUCCESS);
  EXPECT_EQ(row[3], 9);
  EXPECT_EQ(row[4], 1);
  EXPECT_EQ(row[8], 9);
  EXPECT_EQ(cuMemcpyDtoH_v2(row, pitched + 2 * pitch, 12), CUDA_SUCCESS);
  EXPECT_EQ(row[4], 9);
  to.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  EXPECT_EQ(cuMemcpy2D_v2(&to), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(cuMemcpyHtoD_v2(pitched + 4 * pitch - 4, row, 12), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD32_v2(a + 1, 0, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemFree_v2(pitched), CUDA_SUCCESS);
}

TEST_F(CudaApi, KnowsPointers) {
  unsigned type = 0;
  CUdeviceptr start = 0;
  std::size_t bytes = 0;
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a), CUDA_SUCCESS);
  EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_DEVICE});
  EXPECT_EQ(cuMemGetAddressRange_v2(&start, &bytes, a + 100), CUDA_SUCCESS);
  EXPECT_EQ(start, a);
  EXPECT_EQ(bytes, kBytes);
  CUdeviceptr managed = 0;
  ASSERT_EQ(cuMemAllocManaged(&managed, kBytes, CU_MEM_ATTACH_GLOBAL), CUDA_SUCCESS);
  reinterpret_cast<float*>(managed)[kCount - 1] = 8;
  EXPECT_EQ(Launch(add, b, managed, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 8);
  EXPECT_EQ(cuMemFree_v2(managed), CUDA_SUCCESS);
  float local = 0;
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                  reinterpret_cast<std::uintptr_t>(&local)),
            CUDA_ERROR_INVALID_VALUE);
}

TEST_F(CudaApi, LoadsOtherImagesTooAndLibraries) {
  CUmodule unknown = nullptr;
  CUfunction function = nullptr;
  ASSERT_EQ(cuModuleLoadData(&unknown, "//\n.version 8.0\n"), CUDA_SUCCESS);
  EXPECT_EQ(cuModuleGetFunction(&function, unknown, "anything"), CUDA_SUCCESS);
  EXPECT_EQ(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuModuleGetFunction(&function, module, "anything"), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(cuModuleLoadData(&unknown, "kernel x cost=5\n"), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_EQ(cuModuleLoad(&unknown, "/nowhere/kernels.txt"), CUDA_ERROR_FILE_NOT_FOUND);
  CUlibrary library = nullptr;
  CUkernel kernel = nullptr;
  const char* name = nullptr;
  ASSERT_EQ(cuLibraryLoadData(&library, kImage, nullptr, nullptr, 0, nullptr, nullptr, 0),
            CUDA_SUCCESS);
  EXPECT_EQ(cuLibraryGetKernel(&kernel, library, "add"), CUDA_SUCCESS);
  EXPECT_EQ(cuKernelGetName(&name, kernel), CUDA_SUCCESS);
  EXPECT_STREQ(name, "add");
  Put(a, 2);
  EXPECT_EQ(Launch(reinterpret_cast<CUfunction>(kernel), b, a, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuKernelGetFunction(&function, kernel), CUDA_SUCCESS);
  EXPECT_EQ(Launch(function, b, a, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 4);
  std::size_t offset = 0;
  std::size_t size = 0;
  EXPECT_EQ(cuFuncGetParamInfo(function, 2, &offset, &size), CUDA_SUCCESS);
  EXPECT_EQ(offset, 16u);
  EXPECT_EQ(size, 4u);
  EXPECT_EQ(cuFuncGetParamInfo(function, 3, &offset, &size), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuLibraryUnload(library), CUDA_SUCCESS);
  EXPECT_EQ(Launch(function, b, a, stream), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(CudaApi, TakesParametersInOnePieceToo) {
  struct {
    CUdeviceptr to, from;
    int count;
  } packed{b, a, kCount};
  std::size_t size = sizeof packed;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                   CU_LAUNCH_PARAM_END};
  Put(a, 6);
  CUlaunchConfig config{};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = config.blockDimY = config.blockDimZ = 1;
  config.hStream = stream;
  EXPECT_EQ(cuLaunchKernelEx(&config, add, nullptr, extra), CUDA_SUCCESS);
  EXPECT_EQ(cuLaunchKernelEx(&config, add, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  config.gridDimX = 0;
  EXPECT_EQ(cuLaunchKernelEx(&config, add, nullptr, extra), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 6);
}

TEST_F(CudaApi, WritesValuesInStreamOrder) {
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWriteValue32_v2(stream, a, 77, 0), CUDA_SUCCESS);
  auto* word = reinterpret_cast<std::atomic<unsigned>*>(a);
  EXPECT_EQ(word->load(), 0u);
  while (word->load() != 77) std::this_thread::yield();  // the time limit of the test ends it
  EXPECT_EQ(cuStreamWaitValue32_v2(stream, a, 77, 0), CUDA_ERROR_NOT_SUPPORTED);
}

}  // namespace
}  // namespace stagger::vgpu
