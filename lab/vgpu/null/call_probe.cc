// call-probe: what the hooks add to each call, in ns. Makes the same calls in the same process,
// block by block, through what an app gets from dlsym and past all hooks, on the null driver.
// Prints one line of JSON: per kind of call the difference of each pair of blocks, and what the
// bare call took.
//
// An inference is: a large copy in, a body of launches with small copies and records among them, a
// wait, a burst of light launches, a wait. After it come queries and others outside of everything.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "lab/vgpu/driver_values.h"

namespace {

using Find = void* (*)(const char* symbol);

struct Functions {
  CUresult (*copy_in)(CUdeviceptr, const void*, size_t, CUstream);
  CUresult (*launch)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                     unsigned, CUstream, void**, void**);
  CUresult (*wait)(CUstream);
  CUresult (*query)(CUevent);
  CUresult (*record)(CUevent, CUstream);
  CUresult (*stream_wait)(CUstream, CUevent, unsigned);
  CUresult (*fill)(CUdeviceptr, unsigned, size_t, CUstream);
  CUresult (*allocate)(CUdeviceptr*, size_t);
};

template <typename F>
void Take(F* function, void* found, const char* name) {
  if (found == nullptr) {
    std::fprintf(stderr, "call-probe: the driver has no %s\n", name);
    std::exit(1);
  }
  *function = reinterpret_cast<F>(found);
}

template <typename By>
Functions FunctionsBy(By find) {
  Functions f{};
  Take(&f.copy_in, find("cuMemcpyHtoDAsync_v2"), "cuMemcpyHtoDAsync_v2");
  Take(&f.launch, find("cuLaunchKernel"), "cuLaunchKernel");
  Take(&f.wait, find("cuStreamSynchronize"), "cuStreamSynchronize");
  Take(&f.query, find("cuEventQuery"), "cuEventQuery");
  Take(&f.record, find("cuEventRecord"), "cuEventRecord");
  Take(&f.stream_wait, find("cuStreamWaitEvent"), "cuStreamWaitEvent");
  Take(&f.fill, find("cuMemsetD32Async"), "cuMemsetD32Async");
  Take(&f.allocate, find("cuMemAlloc_v2"), "cuMemAlloc_v2");
  return f;
}

double NowNs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

enum Kind : std::size_t {
  kBodyLaunch,
  kBodyCopy,
  kBodyRecord,
  kLightLaunch,
  kQuery,
  kPolling,
  kRecord,
  kFill,
  kStreamWait,
  kUnhooked,
  kKinds
};
constexpr const char* kNames[kKinds] = {"launch in a body",
                                        "small copy in, in a body",
                                        "event record, in a body",
                                        "launch outside bodies",
                                        "event query",
                                        "event query, polling",
                                        "event record",
                                        "fill",
                                        "stream wait",
                                        "not hooked"};

constexpr int kBody = 1600;  // launches of a body
constexpr int kTimed = 600;
constexpr int kLight = 300;
constexpr int kCalls = 400;  // of each other kind
// Work of the host's amid a body: bodies of less than 200 us would not be gated.
constexpr double kHostWorkNs = 300e3;
constexpr std::size_t kImage = 1 << 20;
constexpr std::size_t kSmall = 64;

CUfunction Kernel(int number) {
  return reinterpret_cast<CUfunction>(static_cast<std::uintptr_t>(0x1000 + 16 * number));  // NOLINT
}

class Probe {
 public:
  Probe() {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (driver == nullptr) {
      std::fprintf(stderr, "call-probe: %s\n", dlerror());
      std::exit(1);
    }
    hooked_ = FunctionsBy([&](const char* name) { return dlsym(driver, name); });
    Find past = nullptr;
    Take(&past, dlsym(driver, "cuNullDriverFunction"), "cuNullDriverFunction");
    bare_ = FunctionsBy([&](const char* name) { return past(name); });
    using Make = CUresult (*)(CUevent*, unsigned);
    Make make = nullptr;
    Take(&make, past("cuEventCreate"), "cuEventCreate");
    for (CUevent& event : ready_) make(&event, CU_EVENT_DEFAULT);
    make(&never_, CU_EVENT_INTERPROCESS);
    CUresult (*stream)(CUstream*, unsigned) = nullptr;
    Take(&stream, past("cuStreamCreate"), "cuStreamCreate");
    stream(&stream_, CU_STREAM_NON_BLOCKING);
    image_.resize(kImage);
  }

  bool preloaded() const { return hooked_.launch != bare_.launch; }

  void Block(bool bare_first) {
    double hooked[kKinds];
    double bare[kKinds];
    if (bare_first) Inference(bare_, bare);
    Inference(hooked_, hooked);
    if (!bare_first) Inference(bare_, bare);
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      added_[kind].push_back(hooked[kind] - bare[kind]);
      took_[kind].push_back(bare[kind]);
    }
  }
  void Forget() {
    for (auto& values : added_) values.clear();
    for (auto& values : took_) values.clear();
  }

  void Print(int inferences) {
    std::printf("{\"preloaded\":%s,\"inferences\":%d,\"clock_ns\":%.1f,\"calls\":[",
                preloaded() ? "true" : "false", inferences, ClockNs());
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      std::printf(
          "%s{\"call\":\"%s\",\"bare_ns\":%.2f,\"added_ns\":%.2f,\"quartiles_ns\":[%.2f,%.2f]}",
          kind == 0 ? "" : ",", kNames[kind], Part(took_[kind], 2), Part(added_[kind], 2),
          Part(added_[kind], 1), Part(added_[kind], 3));
    }
    std::printf("]}\n");
  }

 private:
  template <typename Call>
  static double PerCall(int count, Call call) {
    const double start = NowNs();
    for (int i = 0; i < count; ++i) call(i);
    return (NowNs() - start) / count;
  }

  static double ClockNs() {
    return PerCall(10'000, [](int) { NowNs(); });
  }

  static double Part(std::vector<double>& values, std::size_t quarter) {
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) * quarter / 4];
  }

  void Launch(const Functions& f, int kernel) {
    f.launch(Kernel(kernel), 64, 1, 1, 128, 1, 1, 0, stream_, nullptr, nullptr);
  }

  void Inference(const Functions& f, double (&ns)[kKinds]) {
    f.copy_in(0x10000, image_.data(), kImage, stream_);
    int next = 0;
    const auto body = [&](int) { Launch(f, next++ % 40); };
    PerCall(200, body);
    ns[kBodyLaunch] = PerCall(kTimed, body);
    ns[kBodyCopy] =
        PerCall(kCalls, [&](int) { f.copy_in(0x20000, image_.data(), kSmall, stream_); });
    ns[kBodyRecord] = PerCall(kCalls, [&](int i) { f.record(ready_[i % 2], stream_); });
    for (const double start = NowNs(); NowNs() - start < kHostWorkNs;) {
    }
    while (next < kBody) body(0);
    f.wait(stream_);
    ns[kLightLaunch] = PerCall(kLight, [&](int i) { Launch(f, 100 + i % 10); });
    f.wait(stream_);
    ns[kQuery] = PerCall(kCalls, [&](int i) { f.query(ready_[i % 2]); });
    ns[kPolling] = PerCall(kCalls, [&](int) { f.query(never_); });
    ns[kRecord] = PerCall(kCalls, [&](int i) { f.record(ready_[i % 2], stream_); });
    ns[kFill] = PerCall(kCalls, [&](int) { f.fill(0x20000, 0, 64, stream_); });
    ns[kStreamWait] = PerCall(kCalls, [&](int i) { f.stream_wait(stream_, ready_[i % 2], 0); });
    CUdeviceptr address = 0;
    ns[kUnhooked] = PerCall(kCalls, [&](int) { f.allocate(&address, 64); });
  }

  Functions hooked_{};
  Functions bare_{};
  CUevent ready_[2]{};
  CUevent never_ = nullptr;
  CUstream stream_ = nullptr;
  std::vector<char> image_;
  std::vector<double> added_[kKinds];
  std::vector<double> took_[kKinds];
};

}  // namespace

int main(int argc, char** argv) {
  const int blocks = argc > 1 ? std::atoi(argv[1]) : 0;
  if (blocks < 1) {
    std::fprintf(stderr, "usage: call-probe BLOCKS\n");
    return 2;
  }
  // So many inferences until the agent knows them.
  constexpr int kLearning = 60;
  Probe probe;
  for (int i = 0; i < kLearning; ++i) probe.Block(i % 2 == 0);
  probe.Forget();
  for (int i = 0; i < blocks; ++i) probe.Block(i % 2 == 0);
  probe.Print(kLearning + blocks);
  return 0;
}
