#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace camera_detector {
namespace {

template <typename Number>
bool ReadNumber(const std::string& text, Number* number) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && stopped == end;
}

// CLI11 puts the flag's name before what these return.
std::string Refusal(const std::string& text, const std::string& expected) {
  return "'" + text + "': expected " + expected;
}

CLI::Validator Real(double low, double high, const std::string& expected) {
  return {[=](std::string& text) {
            double value = 0;
            const bool ok =
                ReadNumber(text, &value) && std::isfinite(value) && value >= low && value <= high;
            return ok ? std::string() : Refusal(text, expected);
          },
          ""};
}

CLI::Validator Whole(std::int64_t low, std::int64_t high, const std::string& expected) {
  return {[=](std::string& text) {
            std::int64_t value = 0;
            const bool ok = ReadNumber(text, &value) && value >= low && value <= high;
            return ok ? std::string() : Refusal(text, expected);
          },
          ""};
}

void AddCameraFlags(CLI::App& app, Options& o) {
  const std::string group = "Camera";
  app.add_option("--source", o.source, "video file, stream URL or /dev/videoN")
      ->type_name("SOURCE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--fps", o.fps,
                 "the camera's rate (default: the file's own); not used with --every-frame")
      ->type_name("R")
      ->check(Real(0.001, 1000, "frames per second, from 0.001 to 1000"))
      ->group(group);
  app.add_option("--offset", o.offset_s, "start this far into the clip; at its end it starts over")
      ->type_name("SECONDS")
      ->check(Real(0, 1e6, "seconds, 0 or more"))
      ->group(group);
  app.add_option("--stride", o.stride, "use every Nth frame of the video")
      ->type_name("N")
      ->check(Whole(1, 1'000'000, "a whole number, 1 or more"))
      ->group(group);
  app.add_flag("--preload{200}", o.preload,
               "decode and resize the clip's first frames (200, or --preload=N) before the camera "
               "starts and repeat only those, so that decoding costs nothing during the run")
      ->type_name("N")
      ->check(Whole(0, 100'000, "a number of frames, up to 100000"))
      ->group(group);
  app.add_option("--seconds", o.seconds, "run this long (default: until Ctrl-C)")
      ->type_name("S")
      ->check(Real(0.001, 1e9, "seconds, above 0"))
      ->group(group);
  app.add_option("--frames", o.frames, "stop after this many frames of the camera")
      ->type_name("N")
      ->check(Whole(1, std::numeric_limits<std::int64_t>::max(), "a whole number, 1 or more"))
      ->group(group);
  app.add_flag("--every-frame", o.every_frame,
               "take each frame of a file as soon as the last one is done, without drops or "
               "waiting; ends with the clip unless --frames or --seconds says otherwise")
      ->group(group);
}

void AddModelFlags(CLI::App& app, Options& o) {
  const std::string group = "Detector";
  app.add_option("--model", o.model, "SSD-MobileNetV2 as ONNX, 300x300 input")
      ->type_name("FILE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--labels", o.labels, "one class name a line, background first")
      ->type_name("FILE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--threshold", o.threshold, "least score of a detection")
      ->type_name("P")
      ->check(Real(0.01, 0.99, "a score from 0.01 to 0.99"))
      ->capture_default_str()
      ->group(group);
  app.add_option("--threads", o.threads, "threads of one inference, 0: the runtime's default")
      ->type_name("N")
      ->check(Whole(0, 1024, "a whole number from 0 to 1024"))
      ->group(group);
  app.add_flag("--tuned", o.tuned, "let idle inference threads sleep instead of spin")
      ->group(group);
  app.add_option("--warmup", o.warmup, "inferences before the camera starts, not counted")
      ->type_name("N")
      ->check(Whole(0, 10'000, "a whole number from 0 to 10000"))
      ->capture_default_str()
      ->group(group);
  app.add_option("--work-ms", o.work_ms,
                 "CPU time spent on each frame after its inference, as tracking would")
      ->type_name("MS")
      ->check(Real(0, 60'000, "milliseconds from 0 to 60000"))
      ->group(group);
}

void AddOutputFlags(CLI::App& app, Options& o) {
  const std::string group = "Output";
  app.add_option("--http", o.http_port,
                 "serve the annotated video on this port of 127.0.0.1 (0: any free one): / is "
                 "MJPEG, /snapshot.jpg, /stats.json")
      ->type_name("PORT")
      ->check(Whole(0, 65535, "a port from 0 to 65535"))
      ->group(group);
  app.add_option("--samples", o.samples,
                 "CSV, a line per inference: the frame's arrival, the inference's start and end "
                 "and the result's time, in CLOCK_MONOTONIC nanoseconds")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--json-out", o.json_out, "write the summary here instead of stdout")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--ready-file", o.ready_file, "create this file when the model is warm")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--wait-for", o.wait_for,
                 "start the camera when this file exists, so that several cameras start together")
      ->type_name("FILE")
      ->group(group);
  app.add_flag("--quiet", o.quiet, "no progress notes on stderr")->group(group);
}

void RejectForLiveSource(bool given, const std::string& flag, const std::string& source) {
  if (given) throw UsageError(flag + ": expected a video file as --source, not '" + source + "'");
}

}  // namespace

bool IsLiveSource(const std::string& source) {
  return source.find("://") != std::string::npos || source.rfind("/dev/", 0) == 0;
}

CommandLine ParseCommandLine(std::vector<std::string> arguments) {
  CommandLine line;
  Options& o = line.options;
  o.source = DEFAULT_SOURCE;
  o.model = DEFAULT_MODEL;
  o.labels = DEFAULT_LABELS;

  CLI::App app("Finds people and vehicles in a camera's video and prints a summary as JSON.",
               "camera-detector");
  AddCameraFlags(app, o);
  AddModelFlags(app, o);
  AddOutputFlags(app, o);
  try {
    std::reverse(arguments.begin(), arguments.end());  // what CLI11 wants of a vector
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    line.help = app.help();
  } catch (const CLI::ParseError& error) {
    throw UsageError(std::string(error.what()) + " (--help lists the flags)");
  }
  if (IsLiveSource(o.source)) {
    RejectForLiveSource(o.offset_s > 0, "--offset", o.source);
    RejectForLiveSource(o.every_frame, "--every-frame", o.source);
    RejectForLiveSource(o.preload > 0, "--preload", o.source);
  }
  return line;
}

}  // namespace camera_detector
