#include "gpu.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace cuda_camera {
namespace {

// kernels.ptx, see CMakeLists.txt.
constexpr char kPtx[] =
#include "kernels_ptx.inc"
    ;
constexpr int kMultiprocessorCount = 16;  // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
constexpr unsigned kThreads = 256;        // of a block; two blocks fill a multiprocessor

std::string ImageOf(const Settings& s) {
  char text[1024];
  const int layers = s.kernels;
  const double post_gpu_ms = (s.post_ms - s.post_cpu_ms) / std::max(s.post_steps, 1);
  std::snprintf(text, sizeof text,
                "kernel conv cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel other_conv cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel branch cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel compile cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel nms cost=%.6fms demand=0.1 class=post params=8,8,4,4 do=scale\n"
                "kernel endless cost=forever demand=%g class=body params=8,8,4 do=add\n",
                s.body_ms / layers, s.demand, s.body_ms / layers / 2, s.demand, s.body_ms / layers,
                s.demand / 4, s.first_ms, s.demand, post_gpu_ms, s.demand);
  return text;
}

thread_local bool capturing = false;

}  // namespace

Gpu::Gpu(const Settings& settings, bool per_thread) : settings_(settings) {
  const std::string failed = Bind(settings.binding, per_thread, &driver_);
  if (!failed.empty()) {
    std::fprintf(stderr, "cuda-camera: %s\n", failed.c_str());
    std::exit(1);
  }
  Check(driver_.cuInit(0), "cuInit");
  Check(driver_.cuDevicePrimaryCtxRetain(&context_, 0), "cuDevicePrimaryCtxRetain");
  UseContext();
  // A GPU that reads kernel texts takes each kernel's time from there. Any other gets real kernels.
  if (driver_.cuModuleLoadData(&module_, ImageOf(settings).c_str()) == 0) return;
  Check(driver_.cuModuleLoadData(&module_, kPtx), "cuModuleLoadData");
  Check(driver_.cuDeviceGetAttribute(&multiprocessors_, kMultiprocessorCount, 0),
        "cuDeviceGetAttribute");
  rate_ = settings.rate > 0 ? settings.rate : MeasureRate();
}

// Rounds per ms on this GPU while nobody else uses it; beside others it comes out too low.
double Gpu::MeasureRate() const {
  const Buffers buffers = MakeBuffers();
  const auto time_ms = [&](long long work) {
    const std::int64_t begin = NowNs();
    LaunchAdd("conv", buffers, work, BlocksFor(1), nullptr);
    Check(driver_.cuCtxSynchronize(), "cuCtxSynchronize");
    return static_cast<double>(NowNs() - begin) / 1e6;
  };
  long long work = 1 << 12;
  while (time_ms(work) < 10) work *= 2;
  double best = time_ms(work);
  // The GPU's clock rises with work: the fastest of several, and not the first.
  for (int i = 0; i < 20; ++i) best = std::min(best, time_ms(work));
  return static_cast<double>(work) / best;
}

// How the settings' times become work.
Gpu::Cost Gpu::CostOf(const std::string& kernel) const {
  const Settings& s = settings_;
  const double layer_ms = s.body_ms / s.kernels;
  if (kernel == "nms") return {(s.post_ms - s.post_cpu_ms) / s.post_steps, 0.1};
  if (kernel == "other_conv") return {layer_ms / 2, s.demand};
  if (kernel == "branch") return {layer_ms, s.demand / 4};
  if (kernel == "compile") return {s.first_ms, s.demand};
  if (kernel == "endless") return {std::numeric_limits<double>::infinity(), s.demand};
  return {layer_ms, s.demand};
}

long long Gpu::WorkOf(const std::string& kernel) const {
  const double rounds = CostOf(kernel).ms * rate_;
  return rounds < 1e18 ? std::llround(rounds) : std::numeric_limits<long long>::max();
}

// Enough blocks for the results, and as many multiprocessors as the kernel is to fill.
unsigned Gpu::BlocksFor(double demand) const {
  constexpr unsigned kLeast = kResults / kThreads;
  return std::max(kLeast, static_cast<unsigned>(std::lround(2 * multiprocessors_ * demand)));
}

void Gpu::Check(Result result, const char* what) const {
  if (result == 0) return;
  const char* name = nullptr;
  driver_.cuGetErrorName(result, &name);
  std::fprintf(stderr, "cuda-camera: %s: %s (%d)\n", what, name != nullptr ? name : "?", result);
  std::exit(1);
}

void Gpu::UseContext() const { Check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent"); }

Buffers Gpu::MakeBuffers() const {
  Buffers buffers;
  const auto pinned = [&](int count) {
    void* memory = nullptr;
    Check(driver_.cuMemHostAlloc(&memory, sizeof(float) * static_cast<std::size_t>(count), 0),
          "cuMemHostAlloc");
    return static_cast<float*>(memory);
  };
  const auto device = [&](int count) {
    DevicePointer memory = 0;
    Check(driver_.cuMemAlloc(&memory, sizeof(float) * static_cast<std::size_t>(count)),
          "cuMemAlloc");
    return memory;
  };
  buffers.input = pinned(kElements);
  buffers.output = pinned(kResults);
  buffers.image = device(kElements);
  buffers.features = device(kElements);
  buffers.boxes = device(kResults);
  return buffers;
}

Stream Gpu::MakeStream(unsigned flags) const {
  Stream stream = nullptr;
  Check(driver_.cuStreamCreate(&stream, flags), "cuStreamCreate");
  return stream;
}

Event Gpu::MakeEvent() const {
  Event event = nullptr;
  Check(driver_.cuEventCreate(&event, kEventDisableTiming), "cuEventCreate");
  return event;
}

Function Gpu::Find(const std::string& kernel) const {
  Function function = nullptr;
  Check(driver_.cuModuleGetFunction(&function, module_, kernel.c_str()), "cuModuleGetFunction");
  return function;
}

void Gpu::Launch(const std::string& kernel, unsigned blocks, void** parameters,
                 Stream stream) const {
  if (!capturing) ++launches_;
  Check(driver_.cuLaunchKernel(Find(kernel), blocks, 1, 1, kThreads, 1, 1, 0, stream, parameters,
                               nullptr),
        "cuLaunchKernel");
}

void Gpu::LaunchAdd(const std::string& kernel, const Buffers& buffers, long long work,
                    unsigned blocks, Stream stream) const {
  // The arithmetic is for comparing outputs: a few hundred elements say as much as all.
  DevicePointer to = buffers.features;
  DevicePointer from = buffers.image;
  int count = kResults;
  void* parameters[] = {&to, &from, &count, &work};
  Launch(kernel, blocks, parameters, stream);
}

void Gpu::LaunchBody(const std::string& kernel, const Buffers& buffers, Stream stream,
                     unsigned blocks) const {
  if (blocks == 0) blocks = BlocksFor(CostOf(kernel).demand);
  LaunchAdd(kernel, buffers, WorkOf(kernel), blocks, stream);
}

void Gpu::LaunchPost(const Buffers& buffers, Stream stream) const {
  DevicePointer to = buffers.boxes;
  DevicePointer from = buffers.features;
  float factor = 0.5f;
  int count = kResults;
  long long work = WorkOf("nms");
  void* parameters[] = {&to, &from, &factor, &count, &work};
  Launch("nms", BlocksFor(CostOf("nms").demand), parameters, stream);
}

void Gpu::LaunchEndless(const Buffers& buffers, Stream stream) const {
  LaunchBody("endless", buffers, stream);
}

void Gpu::LaunchGraph(GraphExec graph, Stream stream) const {
  ++launches_;
  Check(driver_.cuGraphLaunch(graph, stream), "cuGraphLaunch");
}

void Gpu::BeginCapture(Stream stream, int mode) const {
  Check(driver_.cuStreamBeginCapture(stream, mode), "cuStreamBeginCapture");
  capturing = true;
}

GraphExec Gpu::EndCapture(Stream stream) const {
  capturing = false;
  Graph graph = nullptr;
  Check(driver_.cuStreamEndCapture(stream, &graph), "cuStreamEndCapture");
  GraphExec ready = nullptr;
  Check(driver_.cuGraphInstantiateWithFlags(&ready, graph, 0), "cuGraphInstantiate");
  return ready;
}

void Decode(std::int64_t frame, float* input) {
  auto state = static_cast<std::uint32_t>(frame * 2654435761u + 12345);
  for (int i = 0; i < kElements; ++i) {
    state = state * 1664525u + 1013904223u;
    input[i] = static_cast<float>(state >> 16) / 65536.0f;
  }
}

std::int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void WorkOnCpu(double ms, double burn) {
  const std::int64_t begin = NowNs();
  const auto end = begin + static_cast<std::int64_t>(ms * 1e6);
  const auto burn_until = begin + static_cast<std::int64_t>(ms * burn * 1e6);
  volatile double sum = 0;
  while (NowNs() < burn_until) {
    for (int i = 0; i < 1000; ++i) sum = sum + i;
  }
  const timespec until{static_cast<time_t>(end / 1'000'000'000),
                       static_cast<long>(end % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

}  // namespace cuda_camera
