#include "inference.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "unwaited.h"

namespace cuda_camera {
namespace {

struct Shape {
  const char* name;
  const char* what;
};
constexpr std::array kShapes{
    Shape{"ssd", "kernels one after another in one stream"},
    Shape{"graph", "the body is captured once and launched as one graph"},
    Shape{"streams", "the body forks into four streams and joins, by events"},
    Shape{"per-thread", "two threads, half the frames each, on their per-thread default streams"},
    Shape{"legacy", "everything on the legacy default stream, copies that wait"},
    Shape{"poll", "asks again and again whether the stream is done, instead of waiting"},
    Shape{"nosync", "nothing is waited for until the end"},
    Shape{"launches", "kernels only: no copy and no wait until the end"},
    Shape{"random", "any kernels, any number of them: nothing repeats"},
    Shape{"capture", "another thread captures a graph meanwhile, in global mode"},
    Shape{"models", "two models by turns"},
    Shape{"fork", "forks once; the child has no GPU"},
    Shape{"exec", "becomes a new program midway"},
    Shape{"crash", "crashes with a body on the GPU"},
    Shape{"hang", "launches a kernel that never ends"},
};

// What most shapes share: copy in, body, and a post-processing of small kernels, copies and waits.
class Plain : public Inference {
 public:
  Plain(const Settings& settings, const Gpu& gpu)
      : settings_(settings), gpu_(gpu), buffers_(gpu.MakeBuffers()) {
    if (settings.shape != "per-thread" && settings.shape != "legacy") {
      stream_ = gpu.MakeStream(kStreamNonBlocking);
    }
  }

  BodyTimes Run(std::int64_t frame, const std::function<void()>& before_wait) override {
    Pre(frame);
    BodyTimes times;
    times.launch_begin_ns = NowNs();
    times.first_launch = gpu_.launches() + 1;
    if (frame == 0 && settings_.first_ms > 0) gpu_.LaunchBody("compile", buffers_, stream_);
    Body(frame);
    times.last_launch = gpu_.launches();
    times.launch_end_ns = NowNs();
    before_wait();
    Wait();
    times.over_ns = NowNs();
    Post();
    AddToChecksum(buffers_.output);
    return times;
  }

 protected:
  virtual void Body(std::int64_t) {
    for (int i = 0; i < settings_.kernels; ++i) gpu_.LaunchBody("conv", buffers_, stream_);
  }
  virtual void Pre(std::int64_t frame) {
    WorkOnCpu(settings_.pre_ms, settings_.burn);
    Decode(frame, buffers_.input);
    const Driver& driver = gpu_.driver();
    gpu_.Check(driver.cuMemcpyHtoDAsync(buffers_.image, buffers_.input, kElements * sizeof(float),
                                        stream_),
               "cuMemcpyHtoDAsync");
    gpu_.Check(driver.cuMemsetD32Async(buffers_.features, 0, kElements, stream_),
               "cuMemsetD32Async");
  }
  virtual void Wait() {
    gpu_.Check(gpu_.driver().cuStreamSynchronize(stream_), "cuStreamSynchronize");
  }
  virtual void CopyBack(const Buffers& from) {
    gpu_.Check(
        gpu_.driver().cuMemcpyDtoHAsync(from.output, from.boxes, kResults * sizeof(float), stream_),
        "cuMemcpyDtoHAsync");
    Wait();
  }
  void Post() {
    if (settings_.post_steps == 0) {
      Buffers features = buffers_;
      features.boxes = buffers_.features;
      CopyBack(features);
    }
    for (int i = 0; i < settings_.post_steps; ++i) {
      gpu_.LaunchPost(buffers_, stream_);
      CopyBack(buffers_);
      WorkOnCpu(settings_.post_cpu_ms / settings_.post_steps, settings_.burn);
    }
  }

  const Settings& settings_;
  const Gpu& gpu_;
  const Buffers buffers_;
  Stream stream_ = nullptr;  // null: the default stream
};

class Graphed : public Plain {
 public:
  Graphed(const Settings& settings, const Gpu& gpu) : Plain(settings, gpu) {
    gpu.BeginCapture(stream_, kCaptureThreadLocal);
    Plain::Body(0);
    body_ = gpu.EndCapture(stream_);
  }

 protected:
  void Body(std::int64_t) override { gpu_.LaunchGraph(body_, stream_); }

 private:
  GraphExec body_ = nullptr;
};

class Forking : public Plain {
 public:
  Forking(const Settings& settings, const Gpu& gpu) : Plain(settings, gpu) {
    fork_ = gpu.MakeEvent();
    for (Branch& branch : branches_) {
      branch = {gpu.MakeStream(kStreamNonBlocking), gpu.MakeEvent(), gpu.MakeBuffers()};
    }
  }

 protected:
  // Each branch fills a quarter of what the body fills, and so they run beside each other.
  void Body(std::int64_t) override {
    const Driver& driver = gpu_.driver();
    gpu_.Check(driver.cuEventRecord(fork_, stream_), "cuEventRecord");
    for (const Branch& branch : branches_) {
      gpu_.Check(driver.cuStreamWaitEvent(branch.stream, fork_, 0), "cuStreamWaitEvent");
      Buffers buffers = branch.buffers;
      buffers.image = buffers_.image;
      for (int i = 0; i < settings_.kernels; ++i) {
        gpu_.LaunchBody("branch", buffers, branch.stream);
      }
      gpu_.Check(driver.cuEventRecord(branch.joined, branch.stream), "cuEventRecord");
      gpu_.Check(driver.cuStreamWaitEvent(stream_, branch.joined, 0), "cuStreamWaitEvent");
      // What the branches found, together.
      Buffers sum = buffers_;
      sum.image = buffers.features;
      joins_.push_back(sum);
    }
    for (const Buffers& sum : joins_) gpu_.LaunchBody("branch", sum, stream_);
    joins_.clear();
  }

 private:
  struct Branch {
    Stream stream = nullptr;
    Event joined = nullptr;
    Buffers buffers;
  };
  Event fork_ = nullptr;
  std::array<Branch, 4> branches_;
  std::vector<Buffers> joins_;
};

class Polling : public Plain {
 public:
  using Plain::Plain;

 protected:
  void Wait() override {
    Result result;
    while ((result = gpu_.driver().cuStreamQuery(stream_)) == kNotReady) {
      std::this_thread::sleep_for(std::chrono::microseconds{50});
    }
    gpu_.Check(result, "cuStreamQuery");
  }
};

class Legacy : public Plain {
 public:
  using Plain::Plain;

 protected:
  void Pre(std::int64_t frame) override {
    WorkOnCpu(settings_.pre_ms, settings_.burn);
    Decode(frame, buffers_.input);
    gpu_.Check(
        gpu_.driver().cuMemcpyHtoD(buffers_.image, buffers_.input, kElements * sizeof(float)),
        "cuMemcpyHtoD");
    gpu_.Check(gpu_.driver().cuMemsetD32Async(buffers_.features, 0, kElements, nullptr),
               "cuMemsetD32Async");
  }
  void Wait() override { gpu_.Check(gpu_.driver().cuCtxSynchronize(), "cuCtxSynchronize"); }
  void CopyBack(const Buffers& from) override {
    gpu_.Check(gpu_.driver().cuMemcpyDtoH(from.output, from.boxes, kResults * sizeof(float)),
               "cuMemcpyDtoH");
  }
};

class TwoModels : public Plain {
 public:
  using Plain::Plain;

 protected:
  void Body(std::int64_t frame) override {
    const char* kernel = frame % 2 == 0 ? "conv" : "other_conv";
    for (int i = 0; i < settings_.kernels; ++i) gpu_.LaunchBody(kernel, buffers_, stream_);
  }
};

// Even frames on one thread, odd ones on another; each knows no stream but its own default one.
class Threads : public Inference {
 public:
  Threads(const Settings& settings, const Gpu& gpu)
      : gpu_(gpu), plain_{Plain(settings, gpu), Plain(settings, gpu)} {}

  BodyTimes Run(std::int64_t frame, const std::function<void()>& before_wait) override {
    BodyTimes times;
    std::thread worker([&] {
      gpu_.UseContext();
      times = plain_[frame % 2].Run(frame, before_wait);
    });
    worker.join();
    return times;
  }
  void Finish() override {
    for (const Plain& plain : plain_) {
      const std::uint64_t checksum = plain.checksum();
      float words[kResults] = {};
      std::memcpy(words, &checksum, sizeof checksum);
      AddToChecksum(words);
    }
  }

 private:
  const Gpu& gpu_;
  Plain plain_[2];
};

// The kernels of a frame, their number and their grids are drawn from its number.
class Random : public Plain {
 public:
  using Plain::Plain;

 protected:
  void Body(std::int64_t frame) override {
    std::mt19937 random(static_cast<unsigned>(frame + 1));
    const auto draw = [&] { return static_cast<unsigned>(random()); };
    const auto count = 1 + draw() % static_cast<unsigned>(2 * settings_.kernels);
    for (unsigned i = 0; i < count; ++i) {
      const char* kernels[] = {"conv", "other_conv", "branch"};
      gpu_.LaunchBody(kernels[draw() % 3], buffers_, stream_, 1 + draw() % 1000);
    }
  }
};

// As serving frameworks do for a batch size that is new: while inferences go on, another thread
// captures a graph. What must not be done meanwhile would make its capture fail.
class Capturing : public Plain {
 public:
  Capturing(const Settings& settings, const Gpu& gpu)
      : Plain(settings, gpu),
        captured_(gpu.MakeStream(kStreamNonBlocking)),
        scratch_(gpu.MakeBuffers()) {}

 protected:
  void Body(std::int64_t frame) override {
    const bool now = frame % 3 == 2;
    std::thread other;
    if (now) other = std::thread([this] { Capture(); });
    while (now && !capturing_) std::this_thread::yield();
    Plain::Body(frame);
    body_launched_ = true;
    if (now) other.join();
    capturing_ = body_launched_ = false;
  }

 private:
  void Capture() {
    gpu_.UseContext();
    gpu_.BeginCapture(captured_, kCaptureGlobal);
    gpu_.LaunchPost(scratch_, captured_);
    capturing_ = true;
    while (!body_launched_) std::this_thread::yield();
    gpu_.LaunchPost(scratch_, captured_);
    gpu_.EndCapture(captured_);
  }

  const Stream captured_;
  const Buffers scratch_;
  std::atomic<bool> capturing_{false};
  std::atomic<bool> body_launched_{false};
};

class Hanging : public Plain {
 public:
  using Plain::Plain;

 protected:
  void Body(std::int64_t frame) override {
    Plain::Body(frame);
    if (frame == settings_.at) gpu_.LaunchEndless(buffers_, stream_);
  }
};

}  // namespace

bool IsShape(const std::string& name) {
  for (const Shape& shape : kShapes) {
    if (name == shape.name) return true;
  }
  return false;
}

std::string ShapeNames() {
  std::string names;
  for (const Shape& shape : kShapes) {
    names += (names.empty() ? "" : ", ") + std::string(shape.name) + " (" + shape.what + ")";
  }
  return names;
}

bool WantsPerThread(const std::string& shape) { return shape == "per-thread"; }

void Inference::AddToChecksum(const float* output) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(output);
  for (std::size_t i = 0; i < kResults * sizeof(float); ++i) {
    checksum_ = (checksum_ ^ bytes[i]) * 1099511628211ull;
  }
}

std::unique_ptr<Inference> MakeInference(const Settings& settings, const Gpu& gpu) {
  const std::string& shape = settings.shape;
  if (shape == "graph") return std::make_unique<Graphed>(settings, gpu);
  if (shape == "streams") return std::make_unique<Forking>(settings, gpu);
  if (shape == "poll") return std::make_unique<Polling>(settings, gpu);
  if (shape == "legacy") return std::make_unique<Legacy>(settings, gpu);
  if (shape == "nosync") return MakeUnwaited(settings, gpu);
  if (shape == "launches") return MakeLaunchesOnly(settings, gpu);
  if (shape == "random") return std::make_unique<Random>(settings, gpu);
  if (shape == "capture") return std::make_unique<Capturing>(settings, gpu);
  if (shape == "models") return std::make_unique<TwoModels>(settings, gpu);
  if (shape == "per-thread") return std::make_unique<Threads>(settings, gpu);
  if (shape == "hang") return std::make_unique<Hanging>(settings, gpu);
  return std::make_unique<Plain>(settings, gpu);
}

}  // namespace cuda_camera
