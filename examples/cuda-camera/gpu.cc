#include "gpu.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace cuda_camera {
namespace {

std::string ImageOf(const Settings& s) {
  char text[1024];
  const int layers = s.kernels;
  const double post_gpu_ms = (s.post_ms - s.post_cpu_ms) / std::max(s.post_steps, 1);
  std::snprintf(text, sizeof text,
                "kernel conv cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel other_conv cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel branch cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel compile cost=%.6fms demand=%g class=body params=8,8,4 do=add\n"
                "kernel nms cost=%.6fms class=post params=8,8,4,4 do=scale\n"
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
  Check(driver_.cuModuleLoadData(&module_, ImageOf(settings).c_str()), "cuModuleLoadData");
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

void Gpu::Launch(const std::string& kernel, void** parameters, Stream stream, unsigned grid) const {
  if (!capturing) ++launches_;
  Check(driver_.cuLaunchKernel(Find(kernel), grid, 1, 1, 256, 1, 1, 0, stream, parameters, nullptr),
        "cuLaunchKernel");
}

void Gpu::LaunchBody(const std::string& kernel, const Buffers& buffers, Stream stream,
                     unsigned grid) const {
  // The arithmetic is for comparing outputs: a few hundred elements say as much as all.
  DevicePointer to = buffers.features;
  DevicePointer from = buffers.image;
  int count = kResults;
  void* parameters[] = {&to, &from, &count};
  Launch(kernel, parameters, stream, grid);
}

void Gpu::LaunchPost(const Buffers& buffers, Stream stream) const {
  DevicePointer to = buffers.boxes;
  DevicePointer from = buffers.features;
  float factor = 0.5f;
  int count = kResults;
  void* parameters[] = {&to, &from, &factor, &count};
  Launch("nms", parameters, stream, kGrid);
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
