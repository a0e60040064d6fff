// The app's side of the GPU: context, kernels, buffers, and calls that end the program with one
// line when they fail. Used from the threads that the shapes start.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "driver_api.h"
#include "settings.h"

namespace cuda_camera {

inline constexpr int kElements = 64 * 1024;  // of the network's input
inline constexpr int kResults = 1024;        // of what post-processing copies back

struct Buffers {
  float* input = nullptr;   // pinned
  float* output = nullptr;  // pinned
  DevicePointer image = 0;
  DevicePointer features = 0;
  DevicePointer boxes = 0;
};

class Gpu {
 public:
  explicit Gpu(const Settings& settings, bool per_thread);

  const Driver& driver() const { return driver_; }
  // Of kernels and graphs, so far; what was captured does not count.
  std::uint64_t launches() const { return launches_.load(); }
  void Check(Result result, const char* what) const;

  Buffers MakeBuffers() const;
  Stream MakeStream(unsigned flags) const;
  Event MakeEvent() const;
  void UseContext() const;  // for further threads
  // Rounds of kernel work per ms; 0 on a GPU that reads kernel texts.
  double rate() const { return rate_; }

  // features += image; all kernels of a body do that, so a body of N kernels multiplies by N.
  void LaunchBody(const std::string& kernel, const Buffers& buffers, Stream stream,
                  unsigned blocks = 0) const;  // 0: as many as the kernel's demand wants
  // boxes = 0.5 * features, its first part
  void LaunchPost(const Buffers& buffers, Stream stream) const;
  void LaunchEndless(const Buffers& buffers, Stream stream) const;
  void LaunchGraph(GraphExec graph, Stream stream) const;
  // What this thread launches between the two becomes the graph.
  void BeginCapture(Stream stream, int mode) const;
  GraphExec EndCapture(Stream stream) const;

 private:
  struct Cost {
    double ms;
    double demand;
  };
  Cost CostOf(const std::string& kernel) const;
  long long WorkOf(const std::string& kernel) const;
  unsigned BlocksFor(double demand) const;
  double MeasureRate() const;
  // On a GPU that reads kernel texts the last parameter, the work, is not looked at.
  void LaunchAdd(const std::string& kernel, const Buffers& buffers, long long work, unsigned blocks,
                 Stream stream) const;
  void Launch(const std::string& kernel, unsigned blocks, void** parameters, Stream stream) const;
  Function Find(const std::string& kernel) const;

  const Settings& settings_;
  Driver driver_{};
  Context context_ = nullptr;
  Module module_ = nullptr;
  int multiprocessors_ = 20;
  double rate_ = 0;
  mutable std::atomic<std::uint64_t> launches_{0};
};

// Decoded pixels of a frame: the same for the same number, everywhere.
void Decode(std::int64_t frame, float* input);

// Takes `ms` of time, a part of it by computing.
void WorkOnCpu(double ms, double burn);

std::int64_t NowNs();

}  // namespace cuda_camera
