// cuda-camera: a camera app on the CUDA driver API. Frames arrive at a rate; one that arrives while
// the app is busy is dropped. Prints one line of JSON at the end. It knows nothing of Stagger.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "gpu.h"
#include "inference.h"
#include "settings.h"

namespace cuda_camera {
namespace {

struct Sample {
  std::int64_t frame;
  std::int64_t arrival_ns;
  std::int64_t start_ns;
  std::int64_t end_ns;
  std::int64_t result_ns;
  BodyTimes body;
};

volatile std::sig_atomic_t stopped = 0;

void SleepUntil(std::int64_t ns) {
  const timespec until{static_cast<time_t>(ns / 1'000'000'000),
                       static_cast<long>(ns % 1'000'000'000)};
  while (!stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

nlohmann::ordered_json DistributionOf(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += value;
  const auto rank = [&](double part) {
    const auto place =
        static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(place, 1) - 1];
  };
  return {{"min", values.front()},
          {"mean", sum / static_cast<double>(values.size())},
          {"p50", rank(0.5)},
          {"p99", rank(0.99)},
          {"max", values.back()}};
}

// In the child of a process that uses the GPU every call must fail, and nothing may hang.
void ForkOnce(const Gpu& gpu) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const Result synchronized = gpu.driver().cuCtxSynchronize();
    const Result initialized = gpu.driver().cuInit(0);
    _exit(synchronized == kNotInitialized && initialized == kNotInitialized ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "cuda-camera: the forked child saw a GPU\n");
    std::exit(1);
  }
}

class Camera {
 public:
  Camera(const Settings& settings, const Gpu& gpu, char** argv)
      : settings_(settings), gpu_(gpu), argv_(argv), inference_(MakeInference(settings, gpu)) {}

  void Run() {
    WarmUp();
    start_ns_ = Start();
    start_ns_ += static_cast<std::int64_t>(settings_.phase_ms * 1e6);
    if (!settings_.samples.empty()) {
      samples_file_.open(settings_.samples);
      samples_file_ << "arrival_ns,start_ns,end_ns,result_ns" << std::endl;
    }
    SleepUntil(start_ns_);
    const std::int64_t first = NowNs();
    std::int64_t frame = 0;
    while (!stopped && frame < Frames(NowNs() - first)) {
      const std::int64_t due = Due(frame);
      if (NowNs() < due) SleepUntil(due);
      if (stopped) break;
      const std::int64_t taken = frame;
      Process(taken);
      frame = settings_.fps > 0 ? std::max(taken + 1, FirstDueFrom(NowNs())) : taken + 1;
      frame = std::min(frame, Frames(NowNs() - first));
      drops_ += std::max<std::int64_t>(frame - taken - 1, 0);
      arrived_ = frame;
    }
    inference_->Finish();
    end_ns_ = NowNs();
  }

  void Print() const {
    nlohmann::ordered_json json;
    json["app"] = settings_.shape;
    json["fps_required"] = settings_.fps > 0 ? nlohmann::ordered_json(settings_.fps) : nullptr;
    json["frames"] = arrived_;
    json["done"] = samples_.size();
    json["drops"] = drops_;
    json["fps"] = static_cast<double>(samples_.size()) * 1e9 /
                  static_cast<double>(std::max<std::int64_t>(end_ns_ - start_ns_, 1));
    char checksum[17];
    std::snprintf(checksum, sizeof checksum, "%016llx",
                  static_cast<unsigned long long>(inference_->checksum()));
    json["checksum"] = checksum;
    if (gpu_.rate() > 0) json["rate"] = gpu_.rate();
    std::vector<double> inference;
    std::vector<double> latency;
    for (const Sample& sample : samples_) {
      inference.push_back(static_cast<double>(sample.end_ns - sample.start_ns) / 1e6);
      latency.push_back(static_cast<double>(sample.result_ns - sample.arrival_ns) / 1e6);
    }
    json["inference_ms"] = DistributionOf(inference);
    json["latency_ms"] = settings_.fps > 0 ? DistributionOf(latency) : nlohmann::ordered_json();
    std::printf("%s\n", json.dump().c_str());
  }

  void WriteTruth() const {
    if (!settings_.truth.empty()) {
      std::ofstream file(settings_.truth);
      file << "frame,start_ns,body_launch_begin_ns,body_launch_end_ns,body_over_ns,end_ns,"
              "first_launch,last_launch\n";
      for (const Sample& s : samples_) {
        file << s.frame << ',' << s.start_ns << ',' << s.body.launch_begin_ns << ','
             << s.body.launch_end_ns << ',' << s.body.over_ns << ',' << s.end_ns << ','
             << s.body.first_launch << ',' << s.body.last_launch << '\n';
      }
    }
  }

 private:
  void WarmUp() {
    for (int i = 0; i < settings_.warmup && !stopped; ++i) Process(i);
    samples_.clear();
    if (!settings_.ready_file.empty()) std::ofstream{settings_.ready_file};
  }

  std::int64_t Start() const {
    std::string at = settings_.start_at;
    while (!settings_.wait_for.empty() && !stopped) {
      std::ifstream file(settings_.wait_for);
      if (file) {
        std::getline(file, at);
        break;
      }
      SleepUntil(NowNs() + 5'000'000);
    }
    return at.empty() ? NowNs() : std::strtoll(at.c_str(), nullptr, 10);
  }

  double period_ns() const { return 1e9 / settings_.fps; }
  std::int64_t Due(std::int64_t frame) const {
    return settings_.fps > 0 ? start_ns_ + std::llround(static_cast<double>(frame) * period_ns())
                             : 0;
  }
  std::int64_t FirstDueFrom(std::int64_t ns) const {
    return std::max<std::int64_t>(
        0, static_cast<std::int64_t>(std::ceil(static_cast<double>(ns - start_ns_) / period_ns())));
  }
  // How many frames there are in all; where a frame is always ready, as many as time allows.
  std::int64_t Frames(std::int64_t passed_ns) const {
    if (settings_.seconds <= 0) return settings_.frames;
    if (settings_.fps > 0) return std::llround(std::floor(settings_.seconds * settings_.fps));
    return static_cast<double>(passed_ns) < settings_.seconds * 1e9 ? std::int64_t{1} << 40 : 0;
  }

  void Process(std::int64_t frame) {
    const auto count = static_cast<std::int64_t>(samples_.size());
    if (count == settings_.at && settings_.shape == "fork") ForkOnce(gpu_);
    if (count == settings_.at && settings_.shape == "exec") Become();
    Sample sample{};
    sample.frame = frame;
    sample.start_ns = NowNs();
    sample.arrival_ns = settings_.fps > 0 ? Due(frame) : sample.start_ns;
    sample.body = inference_->Run(frame, [&] {
      if (count == settings_.at && settings_.shape == "crash") std::raise(SIGSEGV);
    });
    sample.end_ns = NowNs();
    WorkOnCpu(settings_.app_ms, settings_.burn);
    sample.result_ns = NowNs();
    samples_.push_back(sample);
    if (samples_file_.is_open()) {  // at once, for readers that follow it
      samples_file_ << sample.arrival_ns << ',' << sample.start_ns << ',' << sample.end_ns << ','
                    << sample.result_ns << std::endl;
    }
  }

  // The same program again, from the beginning, as a plain one.
  [[noreturn]] void Become() {
    std::vector<char*> argv;
    for (char** word = argv_; *word != nullptr; ++word) argv.push_back(*word);
    static char option[] = "--shape=ssd";
    static char value[] = "ssd";
    for (std::size_t i = 1; i < argv.size(); ++i) {
      if (std::string_view(argv[i]) == "--shape=exec") argv[i] = option;
      const bool named = std::string_view(argv[i - 1]) == "--shape";
      if (named && std::string_view(argv[i]) == "exec") argv[i] = value;
    }
    argv.push_back(nullptr);
    execv("/proc/self/exe", argv.data());
    std::perror("cuda-camera: exec");
    std::exit(1);
  }

  const Settings& settings_;
  const Gpu& gpu_;
  char** const argv_;
  std::unique_ptr<Inference> inference_;
  std::vector<Sample> samples_;
  std::ofstream samples_file_;
  std::int64_t start_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::int64_t arrived_ = 0;
  std::int64_t drops_ = 0;
};

int Main(int argc, char** argv) {
  Settings settings;
  if (const auto code = ReadSettings(argc, argv, &settings)) return *code;
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    action.sa_handler = [](int) { stopped = 1; };
    sigaction(signal, &action, nullptr);
  }
  const Gpu gpu(settings, WantsPerThread(settings.shape));
  Camera camera(settings, gpu, argv);
  camera.Run();
  camera.WriteTruth();
  camera.Print();
  return 0;
}

}  // namespace
}  // namespace cuda_camera

int main(int argc, char** argv) { return cuda_camera::Main(argc, argv); }
