// The command line: what it offers, its defaults, and what it refuses.
// Pure apart from reading no more than its arguments; used once, at start.
// Must never open a file or print: the caller does that.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace camera_detector {

struct Options {
  std::string source;
  std::string model;
  std::string labels;
  std::optional<double> fps;
  double offset_s = 0;
  std::optional<double> seconds;
  std::optional<std::int64_t> frames;
  bool every_frame = false;
  int stride = 1;
  std::int64_t preload = 0;
  bool tuned = false;
  std::optional<int> threads;  // unset and 0: the runtime decides
  int warmup = 2;
  double work_ms = 0;
  double threshold = 0.3;
  std::optional<int> http_port;
  std::string samples;
  std::string ready_file;
  std::string wait_for;
  std::string json_out;
  bool quiet = false;
};

// The message names the flag, the value and what was expected.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CommandLine {
  Options options;
  std::string help;  // not empty when help was asked for
};

// `arguments` without the program's name. Throws UsageError.
CommandLine ParseCommandLine(std::vector<std::string> arguments);

// A stream or device sends frames at its own pace; a file is paced by us.
bool IsLiveSource(const std::string& source);

}  // namespace camera_detector
