// `gpu_threads_app COUNT`: four threads over two GPUs, each with a context, a stream and buffers of
// its own; COUNT inferences each, of which the first are at once. Says what each thread computed.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "examples/cuda-camera/driver_api.h"

namespace {

using cuda_camera::DevicePointer;

constexpr int kThreads = 4;
constexpr int kGpus = 2;
constexpr int kKernels = 20;
constexpr unsigned kElements = 64 * 1024;
constexpr char kKernel[] = "kernel conv cost=0.2ms class=body params=8,8,4 do=add\n";

cuda_camera::Driver driver;
std::atomic<int> arrived{0};

void Check(cuda_camera::Result result, const char* what) {
  if (result == 0) return;
  std::printf("%s failed: %d\n", what, result);
  std::fflush(stdout);
  std::_Exit(4);
}

class Worker {
 public:
  Worker(int number, int count) : number_(number), count_(count) {}

  void Run() {
    cuda_camera::Context context = nullptr;
    Check(driver.cuDevicePrimaryCtxRetain(&context, number_ % kGpus), "cuDevicePrimaryCtxRetain");
    Check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    cuda_camera::Module module = nullptr;
    Check(driver.cuModuleLoadData(&module, kKernel), "cuModuleLoadData");
    Check(driver.cuModuleGetFunction(&kernel_, module, "conv"), "cuModuleGetFunction");
    Check(driver.cuStreamCreate(&stream_, cuda_camera::kStreamNonBlocking), "cuStreamCreate");
    Check(driver.cuMemAlloc(&image_, kElements * sizeof(float)), "cuMemAlloc");
    Check(driver.cuMemAlloc(&features_, kElements * sizeof(float)), "cuMemAlloc");
    input_.assign(kElements, static_cast<float>(number_ + 1));
    // Without any order between the threads that a race could hide behind.
    arrived.fetch_add(1, std::memory_order_relaxed);
    while (arrived.load(std::memory_order_relaxed) < kThreads) {
    }
    for (int i = 0; i < count_; ++i) Infer();
  }

  double sum() const { return sum_; }

 private:
  void Infer() {
    Check(driver.cuMemcpyHtoDAsync(image_, input_.data(), kElements * sizeof(float), stream_),
          "cuMemcpyHtoDAsync");
    Check(driver.cuMemsetD32Async(features_, 0, kElements, stream_), "cuMemsetD32Async");
    unsigned count = kElements;
    std::array<void*, 3> parameters{&features_, &image_, &count};
    for (int i = 0; i < kKernels; ++i) {
      Check(driver.cuLaunchKernel(kernel_, 40, 1, 1, 256, 1, 1, 0, stream_, parameters.data(),
                                  nullptr),
            "cuLaunchKernel");
    }
    Check(driver.cuStreamSynchronize(stream_), "cuStreamSynchronize");
    float first = 0;
    Check(driver.cuMemcpyDtoHAsync(&first, features_, sizeof first, stream_), "cuMemcpyDtoHAsync");
    Check(driver.cuStreamSynchronize(stream_), "cuStreamSynchronize");
    sum_ += static_cast<double>(first);
  }

  const int number_;
  const int count_;
  cuda_camera::Function kernel_ = nullptr;
  cuda_camera::Stream stream_ = nullptr;
  DevicePointer image_ = 0;
  DevicePointer features_ = 0;
  std::vector<float> input_;
  double sum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string failed = cuda_camera::Bind("dlsym", false, &driver);
  if (!failed.empty()) {
    std::puts(failed.c_str());
    return 3;
  }
  Check(driver.cuInit(0), "cuInit");
  std::vector<Worker> workers;
  for (int i = 0; i < kThreads; ++i) workers.emplace_back(i, std::atoi(argv[1]));
  std::vector<std::thread> threads;
  for (Worker& worker : workers) threads.emplace_back(&Worker::Run, &worker);
  for (std::thread& thread : threads) thread.join();
  for (const Worker& worker : workers) std::printf("sum %.1f\n", worker.sum());
  return 0;
}
