// Feeds a model with frames of its own making, one call after the other, and says how many it did.
// An ordinary app of ONNX Runtime: for measuring, and for trying a model out.
#include <onnxruntime_cxx_api.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKinds = 8;          // different frames, over and over
constexpr int kKindsOfCalls = 31;  // more of them where each call is written down
constexpr int kWarmup = 3;         // first calls, not timed
constexpr int kKeptResults = 64;   // frames whose results are written
constexpr std::size_t kKeptLate = 100;

struct Settings {
  std::string model;
  double seconds = 5;
  double fps = 0;
  double deadline_ms = 0;
  int batch = 1;
  double grow_after = 0;  // seconds; 0: never
  int grow_to = 1;
  int threads = 0;
  int core = -1;
  std::string results;
  std::string calls;
};

struct Frame {
  std::vector<Ort::Value> inputs;
};

volatile std::sig_atomic_t stopped = 0;

class Runner {
 public:
  explicit Runner(const Settings& settings)
      : env_(ORT_LOGGING_LEVEL_ERROR, "frame-runner"), session_(nullptr) {
    Ort::SessionOptions options;
    if (settings.threads > 0) options.SetIntraOpNumThreads(settings.threads);
    session_ = Ort::Session(env_, settings.model.c_str(), options);
    Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t i = 0; i < session_.GetInputCount(); ++i) {
      names_.push_back(session_.GetInputNameAllocated(i, allocator).get());
    }
    for (std::size_t i = 0; i < session_.GetOutputCount(); ++i) {
      output_names_.push_back(session_.GetOutputNameAllocated(i, allocator).get());
    }
    const int kinds = settings.calls.empty() ? kKinds : kKindsOfCalls;
    for (int kind = 0; kind < kinds; ++kind) frames_.push_back(Make(kind, settings.batch));
    for (int kind = 0; kind < kinds && settings.grow_after > 0; ++kind) {
      grown_.push_back(Make(kind, settings.grow_to));
    }
  }

  // From now on frames have so many items as they grow to.
  void Grow() { frames_.swap(grown_); }

  std::vector<Ort::Value> Run(int number) {
    const std::vector<const char*> inputs = Pointers(names_);
    const std::vector<const char*> outputs = Pointers(output_names_);
    const Frame& frame = frames_[static_cast<std::size_t>(number) % frames_.size()];
    return session_.Run(Ort::RunOptions{nullptr}, inputs.data(), frame.inputs.data(),
                        frame.inputs.size(), outputs.data(), outputs.size());
  }

 private:
  static std::vector<const char*> Pointers(const std::vector<std::string>& names) {
    std::vector<const char*> pointers;
    for (const std::string& name : names) pointers.push_back(name.c_str());
    return pointers;
  }

  Frame Make(int kind, int batch) {
    Frame frame;
    Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      std::vector<int64_t> dims =
          session_.GetInputTypeInfo(i).GetTensorTypeAndShapeInfo().GetShape();
      for (std::size_t d = 0; d < dims.size(); ++d) {
        if (dims[d] < 0) dims[d] = d == 0 ? batch : 1;
      }
      Ort::Value value = Ort::Value::CreateTensor<float>(allocator, dims.data(), dims.size());
      const std::size_t count = value.GetTensorTypeAndShapeInfo().GetElementCount();
      auto* numbers = value.GetTensorMutableData<float>();
      unsigned state = static_cast<unsigned>(kind) * 7919U + 17U;
      for (std::size_t k = 0; k < count; ++k) {
        state = state * 1664525U + 1013904223U;
        numbers[k] = static_cast<float>(state >> 8) / 16777216.0F;
      }
      frame.inputs.push_back(std::move(value));
    }
    return frame;
  }

  Ort::Env env_;
  Ort::Session session_;
  std::vector<std::string> names_;
  std::vector<std::string> output_names_;
  std::vector<Frame> frames_;
  std::vector<Frame> grown_;
};

// A line per frame: each output's sum of values and of their squares.
void WriteResult(std::ofstream& file, std::vector<Ort::Value>& outputs) {
  for (Ort::Value& output : outputs) {
    const std::size_t count = output.GetTensorTypeAndShapeInfo().GetElementCount();
    const auto* numbers = output.GetTensorMutableData<float>();
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sum += static_cast<double>(numbers[i]);
      squares += static_cast<double>(numbers[i]) * static_cast<double>(numbers[i]);
    }
    char text[80];
    std::snprintf(text, sizeof text, "%.9g %.9g ", sum, squares);
    file << text;
  }
  file << '\n';
}

// A number for all bytes of a call's outputs (FNV-1a).
std::uint64_t HashOf(std::vector<Ort::Value>& outputs) {
  std::uint64_t hash = 14695981039346656037U;
  for (Ort::Value& output : outputs) {
    const std::size_t count = output.GetTensorTypeAndShapeInfo().GetElementCount();
    const auto* bytes = reinterpret_cast<const unsigned char*>(output.GetTensorData<float>());
    for (std::size_t i = 0; i < count * sizeof(float); ++i)
      hash = (hash ^ bytes[i]) * 1099511628211U;
  }
  return hash;
}

int Measure(const Settings& settings) {
  if (settings.core >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(settings.core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
      std::fprintf(stderr, "frame-runner: --core %d: no such core\n", settings.core);
      return 2;
    }
  }
  Runner runner(settings);
  std::ofstream results;
  if (!settings.results.empty()) results.open(settings.results);
  std::ofstream calls;
  if (!settings.calls.empty()) calls.open(settings.calls);
  std::vector<double> times_ms;
  std::vector<double> late_s;  // frames, by when they were due
  const double deadline_ms = settings.deadline_ms > 0 ? settings.deadline_ms : 1000 / settings.fps;
  Clock::time_point start = Clock::now();
  double elapsed = 0;
  bool grown = false;
  for (int number = 0; (elapsed < settings.seconds && stopped == 0) || number <= kWarmup;
       ++number) {
    if (number == kWarmup) {
      std::puts("ready");
      std::fflush(stdout);
      start = Clock::now();
    }
    if (settings.fps > 0 && number >= kWarmup) {
      std::this_thread::sleep_until(
          start + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>((number - kWarmup) / settings.fps)));
    }
    if (settings.grow_after > 0 && !grown && elapsed > settings.grow_after) {
      grown = true;
      runner.Grow();
      std::puts("grown");
      std::fflush(stdout);
    }
    const Clock::time_point call = Clock::now();
    std::vector<Ort::Value> outputs = runner.Run(number);
    const Clock::time_point now = Clock::now();
    if (number >= kWarmup && settings.fps > 0) {
      // From when the frame was due, not from when its turn came.
      const double after =
          std::chrono::duration<double>(now - start).count() - (number - kWarmup) / settings.fps;
      if (after * 1000 > deadline_ms) late_s.push_back((number - kWarmup) / settings.fps);
    }
    if (number >= kWarmup) {
      times_ms.push_back(std::chrono::duration<double, std::milli>(now - call).count());
      elapsed = std::chrono::duration<double>(now - start).count();
    }
    if (calls.is_open() && number >= kWarmup) {
      const auto ns = [&](Clock::time_point at) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(at - start).count();
      };
      calls << number % kKindsOfCalls << ',' << ns(call) << ',' << ns(now) << ',' << HashOf(outputs)
            << '\n';
    }
    if (results.is_open() && number < kKeptResults) WriteResult(results, outputs);
  }
  const auto frames = static_cast<double>(times_ms.size());
  std::sort(times_ms.begin(), times_ms.end());
  nlohmann::ordered_json summary;
  summary["frames"] = times_ms.size();
  summary["seconds"] = elapsed;
  summary["fps"] = frames * settings.batch / elapsed;
  if (settings.fps > 0) {
    summary["late"] = late_s.size();
    if (late_s.size() > kKeptLate) late_s.resize(kKeptLate);
    summary["late_s"] = late_s;
  }
  summary["inference_ms"] = {
      {"min", times_ms.front()}, {"p50", times_ms[times_ms.size() / 2]}, {"max", times_ms.back()}};
  std::puts(summary.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs a model on made-up frames and prints how many it did, as JSON.",
               "frame-runner"};
  Settings settings;
  app.add_option("model", settings.model, "an ONNX model that takes and gives floats")->required();
  app.add_option("--seconds", settings.seconds)->capture_default_str();
  app.add_option("--fps", settings.fps, "calls per second (default: as fast as it can)");
  app.add_option("--deadline-ms", settings.deadline_ms,
                 "with --fps: frames whose result comes later are counted (default: 1000 / fps)");
  app.add_option("--batch", settings.batch,
                 "items per call, where the model's first dimension is free")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--grow-after", settings.grow_after,
                 "after so many seconds calls have as many items as --grow-to says");
  app.add_option("--grow-to", settings.grow_to)->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--threads", settings.threads, "of one inference; 0: the runtime's default");
  app.add_option("--core", settings.core, "stay on this core");
  app.add_option("--results", settings.results, "write the first frames' results there");
  app.add_option(
      "--calls", settings.calls,
      "write a line per call there: which frame, start and end in ns, the outputs' hash");
  CLI11_PARSE(app, argc, argv);
  // Asked to stop, it still says how much it did.
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { stopped = 1; });
  try {
    return Measure(settings);
  } catch (const Ort::Exception& error) {
    std::fprintf(stderr, "frame-runner: %s\n", error.what());
    return 1;
  }
}
