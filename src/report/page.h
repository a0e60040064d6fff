// What an agent library writes of its process while $STAGGER_REPORT names a folder: one file per
// program that a process runs and library, mapped and filled while the process lives. So it is
// there however the process ends: exit, _exit, a signal, another program in its place.
// `stagger profile` and `stagger doctor` read it.
//
// Plain memory, shared by writer and reader of the same version. All zero is "nothing yet".
// Counting is one relaxed increment; texts are written by one thread at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "cuda/driver_calls.h"

namespace stagger::report {

inline constexpr std::uint64_t kMagic = 0x7265676761747332;  // changes with the layout
inline constexpr std::size_t kMostInferences = 16384;        // the newest are kept
inline constexpr std::size_t kMostUnknown = 64;
inline constexpr std::size_t kMostRuntimes = 8;
inline constexpr std::size_t kMostStayed = 16;
inline constexpr std::size_t kMostExecutors = 16;

using Count = std::atomic<std::uint64_t>;

// A reader sees the old text or the new, also during a write and after the writer was killed.
template <std::size_t kSize>
class Text {
 public:
  void Set(std::string_view text) {
    const std::uint32_t next = 1 - (current_.load(std::memory_order_relaxed) & 1);
    const std::size_t size = text.size() < kSize - 1 ? text.size() : kSize - 1;
    std::memcpy(copies_[next].data(), text.data(), size);
    copies_[next][size] = '\0';
    current_.store(next, std::memory_order_release);
  }
  std::string Get() const {
    const auto& text = copies_[current_.load(std::memory_order_acquire) & 1];
    return {text.data(), strnlen(text.data(), kSize)};
  }

 private:
  std::array<std::array<char, kSize>, 2> copies_;
  std::atomic<std::uint32_t> current_;
};

struct Head {
  std::uint64_t magic;  // set last
  std::uint64_t size;   // of the page
  std::int64_t began_ns;
  std::int32_t pid;
  std::int32_t parent;
  Text<512> program;     // the file it runs
  Text<512> command;     // its words, separated by spaces
  Text<8192> libraries;  // lines of OFFSET PATH, as /proc/self/maps has them, of what matters
};

// Of one inference that was not part of warm-up. Waiting for the turn is in none of the phases.
struct Phases {
  std::int64_t pre_ns;
  std::int64_t body_ns;
  std::int64_t post_ns;
  std::int64_t waited_ns;
  std::int64_t bodies;  // how many it had; the phases go by the heaviest
};

struct Inferences {
  Count count;  // ever
  std::array<Phases, kMostInferences> ring;

  void Add(const Phases& phases) {
    const std::uint64_t at = count.load(std::memory_order_relaxed);
    ring[at % kMostInferences] = phases;
    count.store(at + 1, std::memory_order_release);
  }
};

// A runtime that was found in the process, or more than can be hooked.
struct Runtime {
  Text<32> version;
  Text<256> path;
  std::uint32_t hooked;
};

// Where executors are named: why something stayed in the app all the same.
struct Stayed {
  Text<192> why;
  Count sessions;
  Count calls;
};

struct ExecutorSeen {
  Text<192> socket;
  Count inferences;  // that it has done; of one that was split, its part
};

// From libstagger-agent.so: ONNX Runtime.
struct AgentPage {
  static constexpr const char* kSuffix = "agent";

  Head head;
  std::atomic<std::uint32_t> runtime_count;
  std::array<Runtime, kMostRuntimes> runtimes;
  Count sessions;
  Count accelerated_sessions;  // of them: on an accelerator, so left alone
  Count cooperative_sessions;  // of them: with threads that the agent may place
  Count run;
  Count run_with_binding;
  Count run_async;
  Count turns;               // inferences that ran under a turn
  Count warmups;             // that were let through to warm up
  Count without_turn;        // that ran without one: no daemon, or it did not answer in time
  Count accelerated_runs;    // of sessions that were left alone
  Count forwarded_sessions;  // of stubs; not among `sessions`
  Count forwarded_calls;     // with a result from executors; not among `run`
  std::atomic<std::uint32_t> executor_count;
  std::array<ExecutorSeen, kMostExecutors> executors;
  std::atomic<std::uint32_t> stayed_count;
  std::array<Stayed, kMostStayed> stayed;  // the last one stands for all that found no place
  Inferences inferences;
};

// From libstagger-cuda.so.
struct CudaPage {
  static constexpr const char* kSuffix = "cuda";
  static constexpr std::size_t kCalls = cuda::kCalls.size();

  Head head;
  std::array<Count, kCalls> counts;         // by place in cuda::kCalls
  std::array<std::uint8_t, kCalls> hooked;  // 1: the app gets a hook instead
  std::array<std::atomic<std::uint8_t>, kCalls> fetched;
  std::atomic<std::uint32_t> unknown_count;
  std::array<Text<96>, kMostUnknown> unknown;  // functions of the driver that the list lacks
  Text<32> state;
  Text<256> reason;
  std::atomic<double> confidence;
  Count seen;  // inferences, warm-up included
  Count turns;
  Count warmups;
  Count without_turn;
  Inferences inferences;
};

// Libraries of this name, as far as `name` goes, are put down in Head::libraries.
struct Known {
  std::string_view file;
  std::string_view name;
  enum class Role : std::uint8_t {
    kCudaDriver,   // its calls are controlled
    kOnnx,         // the runtime that is hooked
    kOnnxInside,   // the same, where no hook reaches it
    kOnCuda,       // computes through the CUDA driver
    kOnCpu,        // computes on the CPU unless CUDA calls are seen
    kOtherDriver,  // of an accelerator that is not controlled
    kMention,      // often there for nothing
  } role;
};
inline constexpr std::array kKnown{
    Known{"libcuda.so", "CUDA driver", Known::Role::kCudaDriver},
    Known{"libonnxruntime.so", "ONNX Runtime", Known::Role::kOnnx},
    Known{"onnxruntime_pybind11_state", "ONNX Runtime in a Python module",
          Known::Role::kOnnxInside},
    Known{"libonnxruntime_providers_cuda", "ONNX Runtime's CUDA provider", Known::Role::kOnCuda},
    Known{"libonnxruntime_providers_tensorrt", "ONNX Runtime's TensorRT provider",
          Known::Role::kOnCuda},
    Known{"libonnxruntime_providers_rocm", "ONNX Runtime's ROCm provider",
          Known::Role::kOtherDriver},
    Known{"libonnxruntime_providers_openvino", "ONNX Runtime's OpenVINO provider",
          Known::Role::kOnCpu},
    Known{"libcudart.so", "CUDA runtime", Known::Role::kMention},
    Known{"libnvinfer.so", "TensorRT", Known::Role::kOnCuda},
    Known{"libtorch_cuda.so", "LibTorch for CUDA", Known::Role::kOnCuda},
    Known{"libtorch_cpu.so", "LibTorch", Known::Role::kOnCpu},
    Known{"libtensorflow_cc.so", "TensorFlow", Known::Role::kOnCpu},
    Known{"libtensorflow.so", "TensorFlow", Known::Role::kOnCpu},
    Known{"_pywrap_tensorflow_internal", "TensorFlow", Known::Role::kOnCpu},
    Known{"libtensorflowlite", "TensorFlow Lite", Known::Role::kOnCpu},
    Known{"_pywrap_tensorflow_interpreter_wrapper", "TensorFlow Lite", Known::Role::kOnCpu},
    Known{"libopenvino.so", "OpenVINO", Known::Role::kOnCpu},
    Known{"libncnn.so", "ncnn", Known::Role::kOnCpu},
    Known{"libMNN.so", "MNN", Known::Role::kOnCpu},
    Known{"libtvm_runtime.so", "TVM", Known::Role::kOnCpu},
    Known{"libpaddle", "Paddle", Known::Role::kOnCpu},
    Known{"libamdhip64.so", "ROCm driver", Known::Role::kOtherDriver},
    Known{"libze_intel_gpu.so", "Level Zero driver", Known::Role::kOtherDriver},
    Known{"libOpenCL.so", "OpenCL", Known::Role::kMention},
    Known{"libopencv_dnn.so", "OpenCV's dnn module", Known::Role::kMention},
    Known{"libstagger-agent.so", "the agent", Known::Role::kMention},
    Known{"libstagger-cuda.so", "the agent for CUDA", Known::Role::kMention},
};

// What a library's path says it is; null: nothing that matters.
constexpr const Known* Recognise(std::string_view path) {
  const std::string_view file = path.substr(path.rfind('/') + 1);
  for (const Known& known : kKnown) {
    if (file.starts_with(known.file)) return &known;
  }
  return nullptr;
}

}  // namespace stagger::report
