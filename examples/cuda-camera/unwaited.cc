#include "unwaited.h"

#include <deque>

namespace cuda_camera {
namespace {

// Every frame has buffers of its own, looked at when all is over.
class Unwaited : public Inference {
 public:
  Unwaited(const Settings& settings, const Gpu& gpu)
      : settings_(settings), gpu_(gpu), stream_(gpu.MakeStream(kStreamNonBlocking)) {}

  BodyTimes Run(std::int64_t frame, const std::function<void()>& before_wait) override {
    const Driver& driver = gpu_.driver();
    frames_.push_back(gpu_.MakeBuffers());
    const Buffers& buffers = frames_.back();
    Decode(frame, buffers.input);
    gpu_.Check(
        driver.cuMemcpyHtoDAsync(buffers.image, buffers.input, kElements * sizeof(float), stream_),
        "cuMemcpyHtoDAsync");
    gpu_.Check(driver.cuMemsetD32Async(buffers.features, 0, kElements, stream_),
               "cuMemsetD32Async");
    BodyTimes times;
    times.first_launch = gpu_.launches() + 1;
    times.launch_begin_ns = NowNs();
    for (int i = 0; i < settings_.kernels; ++i) gpu_.LaunchBody("conv", buffers, stream_);
    // Nothing parts the post-processing from the body.
    gpu_.LaunchPost(buffers, stream_);
    times.launch_end_ns = NowNs();
    times.last_launch = gpu_.launches();
    before_wait();
    gpu_.Check(
        driver.cuMemcpyDtoHAsync(buffers.output, buffers.boxes, kResults * sizeof(float), stream_),
        "cuMemcpyDtoHAsync");
    return times;
  }

  void Finish() override {
    gpu_.Check(gpu_.driver().cuCtxSynchronize(), "cuCtxSynchronize");
    for (const Buffers& buffers : frames_) AddToChecksum(buffers.output);
  }

 private:
  const Settings& settings_;
  const Gpu& gpu_;
  Stream stream_;
  std::deque<Buffers> frames_;
};

// One input, copied in at the beginning; each frame adds to the same features.
class LaunchesOnly : public Inference {
 public:
  LaunchesOnly(const Settings& settings, const Gpu& gpu)
      : settings_(settings),
        gpu_(gpu),
        stream_(gpu.MakeStream(kStreamNonBlocking)),
        buffers_(gpu.MakeBuffers()) {
    Decode(0, buffers_.input);
    const Driver& driver = gpu.driver();
    gpu.Check(driver.cuMemcpyHtoD(buffers_.image, buffers_.input, kElements * sizeof(float)),
              "cuMemcpyHtoD");
    gpu.Check(driver.cuMemsetD32Async(buffers_.features, 0, kElements, stream_),
              "cuMemsetD32Async");
  }

  BodyTimes Run(std::int64_t, const std::function<void()>&) override {
    BodyTimes times;
    times.first_launch = gpu_.launches() + 1;
    times.launch_begin_ns = NowNs();
    for (int i = 0; i < settings_.kernels; ++i) gpu_.LaunchBody("conv", buffers_, stream_);
    times.launch_end_ns = NowNs();
    times.last_launch = gpu_.launches();
    return times;
  }

  void Finish() override {
    gpu_.LaunchPost(buffers_, stream_);
    gpu_.Check(gpu_.driver().cuCtxSynchronize(), "cuCtxSynchronize");
    gpu_.Check(
        gpu_.driver().cuMemcpyDtoH(buffers_.output, buffers_.boxes, kResults * sizeof(float)),
        "cuMemcpyDtoH");
    AddToChecksum(buffers_.output);
  }

 private:
  const Settings& settings_;
  const Gpu& gpu_;
  const Stream stream_;
  const Buffers buffers_;
};

}  // namespace

std::unique_ptr<Inference> MakeUnwaited(const Settings& settings, const Gpu& gpu) {
  return std::make_unique<Unwaited>(settings, gpu);
}

std::unique_ptr<Inference> MakeLaunchesOnly(const Settings& settings, const Gpu& gpu) {
  return std::make_unique<LaunchesOnly>(settings, gpu);
}

}  // namespace cuda_camera
