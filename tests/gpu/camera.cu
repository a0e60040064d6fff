// The counterpart of examples/cuda-camera in CUDA C++: the runtime API, <<<>>>, the same kernels,
// the same options and the same line of JSON. Same frames, same shape: the same checksum as there.
// Built by run.sh with nvcc, once with the static runtime and once with the shared one.
#include <cuda_runtime.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../../examples/cuda-camera/kernels.cu"

namespace {

constexpr int kElements = 64 * 1024;
constexpr int kResults = 1024;
constexpr int kThreads = 256;

std::map<std::string, std::string> options = {
    {"shape", "ssd"},  {"fps", "0"},        {"phase", "0"},    {"start-at", ""},  {"frames", "100"},
    {"seconds", "0"},  {"pre", "2"},        {"body", "38.31"}, {"kernels", "60"}, {"demand", "1"},
    {"post", "35.42"}, {"post-steps", "6"}, {"post-cpu", "3"}, {"app", "0"},      {"burn", "0.1"},
    {"rate", "0"},     {"samples", ""},     {"truth", ""}};

double Number(const char* name) { return std::atof(options[name].c_str()); }

#define CHECK(call)                                                                \
  do {                                                                             \
    const cudaError_t result = (call);                                             \
    if (result != cudaSuccess) {                                                   \
      std::fprintf(stderr, "camera: %s: %s\n", #call, cudaGetErrorString(result)); \
      std::exit(1);                                                                \
    }                                                                              \
  } while (false)

std::int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

volatile sig_atomic_t stopped = 0;

void SleepUntil(std::int64_t ns) {
  const timespec until{static_cast<time_t>(ns / 1'000'000'000),
                       static_cast<long>(ns % 1'000'000'000)};
  while (!stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

void WorkOnCpu(double ms) {
  const std::int64_t begin = NowNs();
  const auto burn_until = begin + static_cast<std::int64_t>(ms * Number("burn") * 1e6);
  volatile double sum = 0;
  while (NowNs() < burn_until) {
    for (int i = 0; i < 1000; ++i) sum = sum + i;
  }
  SleepUntil(begin + static_cast<std::int64_t>(ms * 1e6));
}

void Decode(std::int64_t frame, float* input) {
  auto state = static_cast<std::uint32_t>(frame * 2654435761u + 12345);
  for (int i = 0; i < kElements; ++i) {
    state = state * 1664525u + 1013904223u;
    input[i] = static_cast<float>(state >> 16) / 65536.0f;
  }
}

struct Buffers {
  float* input = nullptr;
  float* output = nullptr;
  float* image = nullptr;
  float* features = nullptr;
  float* boxes = nullptr;
};

Buffers MakeBuffers() {
  Buffers b;
  CHECK(cudaMallocHost(&b.input, kElements * sizeof(float)));
  CHECK(cudaMallocHost(&b.output, kResults * sizeof(float)));
  CHECK(cudaMalloc(&b.image, kElements * sizeof(float)));
  CHECK(cudaMalloc(&b.features, kElements * sizeof(float)));
  CHECK(cudaMalloc(&b.boxes, kResults * sizeof(float)));
  return b;
}

double rate = 0;  // rounds of work per ms
int multiprocessors = 1;

long long WorkFor(double ms) { return std::llround(ms * rate); }

int Blocks(double demand) {
  return std::max<int>(kResults / kThreads,
                       static_cast<int>(std::lround(2 * multiprocessors * demand)));
}

void MeasureRate() {
  const Buffers b = MakeBuffers();
  const auto time_ms = [&](long long work) {
    const std::int64_t begin = NowNs();
    conv<<<Blocks(1), kThreads>>>(b.features, b.image, kResults, work);
    CHECK(cudaDeviceSynchronize());
    return static_cast<double>(NowNs() - begin) / 1e6;
  };
  long long work = 1 << 12;
  while (time_ms(work) < 10) work *= 2;
  double best = time_ms(work);
  for (int i = 0; i < 20; ++i) best = std::min(best, time_ms(work));
  rate = static_cast<double>(work) / best;
}

struct BodyTimes {
  std::int64_t launch_begin_ns = 0;
  std::int64_t launch_end_ns = 0;
  std::int64_t over_ns = 0;
};

class Inference {
 public:
  explicit Inference(const std::string& shape) : shape_(shape) {
    legacy_ = shape == "legacy";
    if (shape == "per-thread")
      stream_ = cudaStreamPerThread;
    else if (!legacy_)
      CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    if (shape != "nosync") buffers_ = MakeBuffers();
    if (shape == "graph") Capture();
    if (shape == "streams") {
      CHECK(cudaEventCreateWithFlags(&fork_, cudaEventDisableTiming));
      for (Branch& branch : branches_) {
        CHECK(cudaStreamCreateWithFlags(&branch.stream, cudaStreamNonBlocking));
        CHECK(cudaEventCreateWithFlags(&branch.joined, cudaEventDisableTiming));
        branch.buffers = MakeBuffers();
      }
    }
  }

  BodyTimes Run(std::int64_t frame) {
    if (shape_ == "nosync") return RunUnwaited(frame);
    WorkOnCpu(Number("pre"));
    Decode(frame, buffers_.input);
    CopyIn(buffers_);
    BodyTimes times;
    times.launch_begin_ns = NowNs();
    Body();
    CHECK(cudaGetLastError());
    times.launch_end_ns = NowNs();
    Wait();
    times.over_ns = NowNs();
    const int steps = std::atoi(options["post-steps"].c_str());
    const double cpu_ms = Number("post-cpu");
    for (int i = 0; i < steps; ++i) {
      LaunchPost(buffers_);
      if (legacy_) {
        CHECK(cudaMemcpy(buffers_.output, buffers_.boxes, kResults * sizeof(float),
                         cudaMemcpyDeviceToHost));
      } else {
        CHECK(cudaMemcpyAsync(buffers_.output, buffers_.boxes, kResults * sizeof(float),
                              cudaMemcpyDeviceToHost, stream_));
        Wait();
      }
      WorkOnCpu(cpu_ms / steps);
    }
    AddToChecksum(buffers_.output);
    return times;
  }

  void Finish() {
    if (shape_ != "nosync") return;
    CHECK(cudaDeviceSynchronize());
    for (const Buffers& buffers : frames_) AddToChecksum(buffers.output);
  }

  void AddToChecksum(const float* output) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(output);
    for (std::size_t i = 0; i < kResults * sizeof(float); ++i) {
      checksum = (checksum ^ bytes[i]) * 1099511628211ull;
    }
  }

  std::uint64_t checksum = 14695981039346656037ull;  // FNV-1a

 private:
  struct Branch {
    cudaStream_t stream;
    cudaEvent_t joined;
    Buffers buffers;
  };

  void CopyIn(const Buffers& b) {
    if (legacy_) {
      CHECK(cudaMemcpy(b.image, b.input, kElements * sizeof(float), cudaMemcpyHostToDevice));
    } else {
      CHECK(cudaMemcpyAsync(b.image, b.input, kElements * sizeof(float), cudaMemcpyHostToDevice,
                            stream_));
    }
    CHECK(cudaMemsetAsync(b.features, 0, kElements * sizeof(float), stream_));
  }

  void LaunchLayers(const Buffers& b) {
    const int layers = std::atoi(options["kernels"].c_str());
    for (int i = 0; i < layers; ++i) {
      conv<<<Blocks(Number("demand")), kThreads, 0, stream_>>>(b.features, b.image, kResults,
                                                               WorkFor(Number("body") / layers));
    }
  }

  void LaunchPost(const Buffers& b) {
    const double ms = (Number("post") - Number("post-cpu")) / Number("post-steps");
    nms<<<Blocks(0.1), kThreads, 0, stream_>>>(b.boxes, b.features, 0.5f, kResults, WorkFor(ms));
    CHECK(cudaGetLastError());
  }

  void Capture() {
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    LaunchLayers(buffers_);
    CHECK(cudaStreamEndCapture(stream_, &graph));
    CHECK(cudaGraphInstantiateWithFlags(&graph_, graph, 0));
  }

  void Body() {
    if (shape_ == "graph") {
      CHECK(cudaGraphLaunch(graph_, stream_));
    } else if (shape_ == "streams") {
      Fork();
    } else {
      LaunchLayers(buffers_);
    }
  }

  void LaunchBranch(float* to, const float* from, cudaStream_t stream) {
    branch<<<Blocks(Number("demand") / 4), kThreads, 0, stream>>>(
        to, from, kResults, WorkFor(Number("body") / Number("kernels")));
  }

  // Four branches of a quarter each, joined by events; the stream then adds what they found.
  void Fork() {
    const int layers = std::atoi(options["kernels"].c_str());
    CHECK(cudaEventRecord(fork_, stream_));
    for (const Branch& branch : branches_) {
      CHECK(cudaStreamWaitEvent(branch.stream, fork_, 0));
      for (int i = 0; i < layers; ++i) {
        LaunchBranch(branch.buffers.features, buffers_.image, branch.stream);
      }
      CHECK(cudaEventRecord(branch.joined, branch.stream));
      CHECK(cudaStreamWaitEvent(stream_, branch.joined, 0));
    }
    for (const Branch& branch : branches_) {
      LaunchBranch(buffers_.features, branch.buffers.features, stream_);
    }
  }

  BodyTimes RunUnwaited(std::int64_t frame) {
    frames_.push_back(MakeBuffers());
    const Buffers& b = frames_.back();
    Decode(frame, b.input);
    CopyIn(b);
    BodyTimes times;
    times.launch_begin_ns = NowNs();
    LaunchLayers(b);
    CHECK(cudaGetLastError());
    times.launch_end_ns = NowNs();
    LaunchPost(b);
    CHECK(cudaMemcpyAsync(b.output, b.boxes, kResults * sizeof(float), cudaMemcpyDeviceToHost,
                          stream_));
    return times;
  }

  void Wait() {
    if (legacy_)
      CHECK(cudaDeviceSynchronize());
    else
      CHECK(cudaStreamSynchronize(stream_));
  }

  const std::string shape_;
  bool legacy_ = false;
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t graph_ = nullptr;
  cudaEvent_t fork_ = nullptr;
  std::array<Branch, 4> branches_{};
  Buffers buffers_;
  std::deque<Buffers> frames_;
};

// Two inferences by turns on threads of their own for the shape per-thread, else one on this
// thread.
class Model {
 public:
  explicit Model(const std::string& shape) : threads_(shape == "per-thread") {
    for (int i = 0; i < (threads_ ? 2 : 1); ++i)
      parts_.push_back(std::make_unique<Inference>(shape));
  }
  BodyTimes Run(std::int64_t frame) {
    if (!threads_) return parts_[0]->Run(frame);
    BodyTimes times;
    std::thread worker([&] { times = parts_[static_cast<std::size_t>(frame % 2)]->Run(frame); });
    worker.join();
    return times;
  }
  std::uint64_t Finish() {
    for (auto& part : parts_) part->Finish();
    if (!threads_) return parts_[0]->checksum;
    std::uint64_t sums[] = {parts_[0]->checksum, parts_[1]->checksum};
    Inference* both = parts_[0].get();
    both->checksum = 14695981039346656037ull;
    for (const std::uint64_t sum : sums) {
      float words[kResults] = {};
      std::memcpy(words, &sum, sizeof sum);
      both->AddToChecksum(words);
    }
    return both->checksum;
  }

 private:
  const bool threads_;
  std::vector<std::unique_ptr<Inference>> parts_;
};

std::string DistributionOf(std::vector<double> values) {
  if (values.empty()) return "null";
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += value;
  const auto rank = [&](double part) {
    const auto place =
        static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(place, 1) - 1];
  };
  char text[256];
  std::snprintf(text, sizeof text,
                "{\"min\":%.6f,\"mean\":%.6f,\"p50\":%.6f,\"p99\":%.6f,\"max\":%.6f}",
                values.front(), sum / static_cast<double>(values.size()), rank(0.5), rank(0.99),
                values.back());
  return text;
}

int Run() {
  CHECK(cudaSetDevice(0));
  CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
  rate = Number("rate");
  if (rate <= 0) MeasureRate();
  Model model(options["shape"]);
  FILE* samples =
      options["samples"].empty() ? nullptr : std::fopen(options["samples"].c_str(), "w");
  FILE* truth = options["truth"].empty() ? nullptr : std::fopen(options["truth"].c_str(), "w");
  if (samples) std::fputs("arrival_ns,start_ns,end_ns,result_ns\n", samples);
  if (truth)
    std::fputs("frame,start_ns,body_launch_begin_ns,body_launch_end_ns,body_over_ns,end_ns\n",
               truth);

  const double fps = Number("fps");
  const double seconds = Number("seconds");
  std::int64_t start =
      options["start-at"].empty() ? NowNs() : std::atoll(options["start-at"].c_str());
  start += static_cast<std::int64_t>(Number("phase") * 1e6);
  SleepUntil(start);
  const std::int64_t first = NowNs();
  const auto frames = [&]() -> std::int64_t {
    if (seconds <= 0) return std::atoll(options["frames"].c_str());
    if (fps > 0) return static_cast<std::int64_t>(std::floor(seconds * fps));
    return static_cast<double>(NowNs() - first) < seconds * 1e9 ? std::int64_t{1} << 40 : 0;
  };
  const auto due = [&](std::int64_t frame) {
    return start + std::llround(static_cast<double>(frame) * 1e9 / fps);
  };
  std::int64_t frame = 0, arrived = 0, drops = 0;
  std::vector<double> inference_ms, latency_ms;
  while (!stopped && frame < frames()) {
    if (fps > 0) SleepUntil(due(frame));
    if (stopped) break;
    const std::int64_t begin = NowNs();
    const std::int64_t arrival = fps > 0 ? due(frame) : begin;
    const BodyTimes body = model.Run(frame);
    const std::int64_t end = NowNs();
    WorkOnCpu(Number("app"));
    const std::int64_t result = NowNs();
    inference_ms.push_back(static_cast<double>(end - begin) / 1e6);
    latency_ms.push_back(static_cast<double>(result - arrival) / 1e6);
    if (samples) {
      std::fprintf(samples, "%lld,%lld,%lld,%lld\n", static_cast<long long>(arrival),
                   static_cast<long long>(begin), static_cast<long long>(end),
                   static_cast<long long>(result));
      std::fflush(samples);
    }
    if (truth) {
      std::fprintf(truth, "%lld,%lld,%lld,%lld,%lld,%lld\n", static_cast<long long>(frame),
                   static_cast<long long>(begin), static_cast<long long>(body.launch_begin_ns),
                   static_cast<long long>(body.launch_end_ns), static_cast<long long>(body.over_ns),
                   static_cast<long long>(end));
    }
    std::int64_t next = frame + 1;
    if (fps > 0) {
      const auto ready =
          static_cast<std::int64_t>(std::ceil(static_cast<double>(NowNs() - start) * fps / 1e9));
      next = std::min(std::max(next, ready), std::max(next, frames()));
    }
    drops += next - frame - 1;
    frame = arrived = next;
  }
  const std::uint64_t checksum = model.Finish();
  const std::int64_t end = NowNs();
  if (samples) std::fclose(samples);
  if (truth) std::fclose(truth);
  char required[32] = "null";
  if (fps > 0) std::snprintf(required, sizeof required, "%g", fps);
  std::printf(
      "{\"app\":\"%s\",\"fps_required\":%s,\"frames\":%lld,\"done\":%zu,\"drops\":%lld,\"fps\":%."
      "3f,"
      "\"checksum\":\"%016llx\",\"rate\":%.3f,\"inference_ms\":%s,\"latency_ms\":%s}\n",
      options["shape"].c_str(), required, static_cast<long long>(arrived), inference_ms.size(),
      static_cast<long long>(drops),
      static_cast<double>(inference_ms.size()) * 1e9 /
          static_cast<double>(std::max<std::int64_t>(end - start, 1)),
      static_cast<unsigned long long>(checksum), rate, DistributionOf(inference_ms).c_str(),
      fps > 0 ? DistributionOf(latency_ms).c_str() : "null");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word.rfind("--", 0) != 0) word = "--" + word;
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const bool given = equals != std::string::npos;
    if (options.count(name) == 0 || (!given && i + 1 == argc)) {
      std::fprintf(stderr, "camera: '%s': no such option, or nothing after it\n", argv[i]);
      return 2;
    }
    options[name] = given ? word.substr(equals + 1) : argv[++i];
  }
  static const char* const shapes[] = {"ssd", "graph", "streams", "per-thread", "legacy", "nosync"};
  if (std::none_of(std::begin(shapes), std::end(shapes),
                   [](const char* s) { return options["shape"] == s; })) {
    std::fprintf(stderr,
                 "camera: --shape %s: expected ssd, graph, streams, per-thread, legacy or nosync\n",
                 options["shape"].c_str());
    return 2;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return Run();
}
