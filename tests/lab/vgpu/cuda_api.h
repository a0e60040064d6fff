// A context, kernels, buffers and streams on the virtual GPU, for tests of the driver API. Programs
// that use it are linked with the virtual GPU's driver and run under `stagger vgpu`.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "lab/vgpu/driver_values.h"

extern "C" {
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  CUresult symbol parameters;
#include "cuda/driver_calls.inc"
}

namespace stagger::vgpu {

inline constexpr const char* kImage =
    "kernel add cost=2ms demand=0.4 do=add\n"
    "kernel copy cost=1ms demand=0.4 do=copy\n"
    "kernel slow cost=5ms demand=0.4 params=8,4\n";
inline constexpr int kCount = 256;
inline constexpr std::size_t kBytes = kCount * sizeof(float);

class CudaApi : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuModuleLoadData(&module, kImage), CUDA_SUCCESS);
    add = Get("add");
    copy = Get("copy");
    slow = Get("slow");
    a = Allocate();
    b = Allocate();
    ASSERT_EQ(cuStreamCreate(&blocking, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
    ASSERT_EQ(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
    ASSERT_EQ(cuEventCreate(&event, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuEventCreate(&event2, 0), CUDA_SUCCESS);
  }
  void TearDown() override {
    EXPECT_EQ(cuMemFree_v2(a), CUDA_SUCCESS);
    EXPECT_EQ(cuMemFree_v2(b), CUDA_SUCCESS);
    EXPECT_EQ(cuCtxDestroy_v2(context), CUDA_SUCCESS);
  }
  CUfunction Get(const char* name) {
    CUfunction function = nullptr;
    EXPECT_EQ(cuModuleGetFunction(&function, module, name), CUDA_SUCCESS);
    return function;
  }
  static CUdeviceptr Allocate() {
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAlloc_v2(&address, kBytes), CUDA_SUCCESS);
    EXPECT_EQ(cuMemsetD32_v2(address, 0, kCount), CUDA_SUCCESS);
    return address;
  }
  static void Put(CUdeviceptr to, float value) {
    const std::vector<float> values(kCount, value);
    EXPECT_EQ(cuMemcpyHtoD_v2(to, values.data(), kBytes), CUDA_SUCCESS);
  }
  static float Value(CUdeviceptr from) {
    float value = -1;
    EXPECT_EQ(cuMemcpyDtoH_v2(&value, from + kBytes - 4, 4), CUDA_SUCCESS);
    return value;
  }
  static CUresult Launch(CUfunction function, CUdeviceptr to, CUdeviceptr from, CUstream on) {
    int count = kCount;
    void* parameters[] = {&to, &from, &count};
    return cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, on, parameters, nullptr);
  }
  CUresult LaunchSlow(CUstream on, bool per_thread = false) {
    CUdeviceptr pointer = a;
    int number = 0;
    void* parameters[] = {&pointer, &number};
    return (per_thread ? cuLaunchKernel_ptsz : cuLaunchKernel)(slow, 1, 1, 1, 1, 1, 1, 0, on,
                                                               parameters, nullptr);
  }
  CUresult EndCapture(CUstream on) {
    graph = nullptr;
    return cuStreamEndCapture(on, &graph);
  }

  CUcontext context = nullptr;
  CUmodule module = nullptr;
  CUfunction add = nullptr, copy = nullptr, slow = nullptr;
  CUdeviceptr a = 0, b = 0;
  CUstream blocking = nullptr, stream = nullptr, other = nullptr;
  CUevent event = nullptr, event2 = nullptr;
  CUgraph graph = nullptr;
};

}  // namespace stagger::vgpu
