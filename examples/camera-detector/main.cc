// camera-detector: reads a camera, finds people and vehicles in its frames, and
// says how well it kept up. One thread does all of it; the annotated video, if
// asked for, is drawn and served by others.
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <opencv2/core/utils/logger.hpp>

#include "camera.h"
#include "detector.h"
#include "mjpeg_server.h"
#include "options.h"
#include "stop_signal.h"
#include "summary.h"

namespace camera_detector {
namespace {

constexpr auto kStartPoll = std::chrono::milliseconds(5);

// CPU time of this thread, not time on the wall: on a busy machine the work
// takes longer, as real work does.
void BurnCpu(double milliseconds) {
  if (milliseconds <= 0) return;
  const auto thread_ns = [] {
    timespec now = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
  };
  const double end = thread_ns() + milliseconds * 1e6;
  volatile unsigned state = 1;
  while (thread_ns() < end) {
    for (int i = 0; i < 2000; ++i) state = state * 1664525u + 1013904223u;
  }
}

void CreateFile(const std::string& flag, const std::string& path, std::ofstream* file) {
  file->open(path, std::ios::trunc);
  if (!*file) throw std::runtime_error(flag + " '" + path + "': expected a path to write to");
}

// Said at the start: a long run must not end without a place for its summary.
void CheckSummaryPlace(const std::string& path) {
  if (path.empty()) return;
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  const bool exists = access(path.c_str(), F_OK) == 0;
  if (access(exists ? path.c_str() : folder.c_str(), W_OK) != 0) {
    throw std::runtime_error("--json-out '" + path + "': expected a path to write to");
  }
}

// Ready and Wait are how several cameras start together.
void AnnounceReady(const Options& options) {
  if (options.ready_file.empty()) return;
  std::ofstream file;
  CreateFile("--ready-file", options.ready_file, &file);
}

void WaitForStart(const Options& options, const StopSignal& stop) {
  if (options.wait_for.empty()) return;
  while (!std::ifstream(options.wait_for)) {
    if (stop.WaitUntil(Clock::now() + kStartPoll)) return;
  }
}

class Samples {
 public:
  explicit Samples(const std::string& path) {
    if (path.empty()) return;
    CreateFile("--samples", path, &file_);
    file_ << "arrival_ns,start_ns,end_ns,result_ns" << std::endl;
  }

  void Add(const FrameTimes& times) {
    if (!file_.is_open()) return;
    const auto ns = [](TimePoint t) {
      return std::chrono::nanoseconds(t.time_since_epoch()).count();
    };
    // Flushed line by line: a run that is killed keeps what it measured.
    file_ << ns(times.arrival) << ',' << ns(times.start) << ',' << ns(times.end) << ','
          << ns(times.result) << std::endl;
  }

 private:
  std::ofstream file_;
};

std::string Caption(std::int64_t frames, std::int64_t done, const FrameTimes& times) {
  char text[96];
  const std::chrono::duration<double, std::milli> inference = times.end - times.start;
  std::snprintf(text, sizeof text, "frame %lld   inference %.1f ms   dropped %lld",
                static_cast<long long>(frames), inference.count(),
                static_cast<long long>(frames - done));
  return text;
}

RunFacts FactsOf(const Options& options, std::vector<std::string> labels) {
  return {options.source, options.model,    options.every_frame, options.threads.value_or(0),
          options.tuned,  std::move(labels)};
}

void Process(const Options& options, const StopSignal& stop, Camera& camera, Detector& detector,
             Samples& samples, Summary& summary, MjpegServer* server) {
  summary.Start(Clock::now());
  camera.Start();
  std::int64_t done = 0;
  for (Frame frame; !stop.Requested() && camera.Next(&frame);) {
    FrameTimes times;
    times.arrival = frame.arrival;
    times.taken = Clock::now();
    if (frame.input.empty()) frame.input = PrepareInput(frame.picture.pixels);
    Inference inference = detector.Detect(frame.input);
    times.start = inference.start;
    times.end = inference.end;
    BurnCpu(options.work_ms);
    times.result = Clock::now();

    ++done;
    samples.Add(times);
    summary.SetArrived(camera.arrived());
    summary.Add(times, inference.detections);
    if (server) {
      server->Publish({std::move(frame.picture), std::move(inference.detections),
                       Caption(camera.arrived(), done, times)});
    }
  }
  summary.SetArrived(camera.arrived());
  summary.Finish(Clock::now());
}

void Print(const Options& options, const std::string& json) {
  if (options.json_out.empty()) {
    std::cout << json << std::endl;
    if (!std::cout) throw std::runtime_error("the summary could not be written to stdout");
    return;
  }
  std::ofstream file;
  CreateFile("--json-out", options.json_out, &file);
  file << json << std::endl;
  if (!file) throw std::runtime_error("--json-out '" + options.json_out + "': cannot be written");
}

void Run(const Options& options) {
  CheckSummaryPlace(options.json_out);
  const StopSignal stop;
  std::vector<std::string> labels = ReadLabels(options.labels);
  Summary summary(FactsOf(options, labels));
  Samples samples(options.samples);
  const std::unique_ptr<Camera> camera = OpenCamera(options, stop);

  std::unique_ptr<MjpegServer> server;
  if (options.http_port) {
    server = std::make_unique<MjpegServer>(*options.http_port, std::move(labels),
                                           [&] { return summary.ToJson(Clock::now()); });
    std::fprintf(stderr, "video: http://127.0.0.1:%d/\n", server->port());
  }

  Detector detector(
      {options.model, options.threads, options.tuned, static_cast<float>(options.threshold)});
  const cv::Mat blank(300, 300, CV_8UC3, cv::Scalar::all(127));
  for (int i = 0; i < options.warmup && !stop.Requested(); ++i) detector.Detect(blank);
  AnnounceReady(options);
  WaitForStart(options, stop);
  if (!options.quiet) {
    std::fprintf(stderr, "camera-detector: %s at %.3g fps\n", options.source.c_str(),
                 camera->fps());
  }
  Process(options, stop, *camera, detector, samples, summary, server.get());
  server.reset();
  Print(options, summary.ToJson(Clock::now()));
}

}  // namespace
}  // namespace camera_detector

int main(int argc, char** argv) {
  using namespace camera_detector;
  try {
    // One line of ours says what was wrong; the libraries' own would add to it.
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
    const CommandLine line = ParseCommandLine({argv + 1, argv + argc});
    if (!line.help.empty()) {
      std::cout << line.help << std::flush;
      return 0;
    }
    Run(line.options);
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "camera-detector: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "camera-detector: %s\n", error.what());
    return 1;
  } catch (...) {
    std::fprintf(stderr, "camera-detector: unknown error\n");
    return 1;
  }
}
