// What the app is asked to do. Read once, from the command line.
#pragma once

#include <optional>
#include <string>

namespace cuda_camera {

struct Settings {
  std::string shape = "ssd";
  std::string binding;
  double fps = 0;  // 0: a frame is always ready
  double phase_ms = 0;
  int frames = 100;
  double seconds = 0;  // instead of `frames`
  double pre_ms = 2;
  double body_ms = 38.31;
  int kernels = 60;
  double demand = 1;
  double post_ms = 35.42;
  int post_steps = 6;
  double post_cpu_ms = 3;
  double app_ms = 0;
  double burn = 0.1;  // the part of CPU work that is burnt; the rest is slept
  double first_ms = 0;
  double rate = 0;  // rounds of kernel work per ms, on a real GPU; 0: measured at the start
  int at = 10;      // the inference at which fork, exec, crash and hang do it
  std::string truth;
  std::string samples;
  std::string start_at;  // CLOCK_MONOTONIC ns of frame 0 less the phase; empty: at once
  int warmup = 0;        // inferences before the start, which count for nothing
  std::string ready_file;
  std::string wait_for;  // a file that will hold start_at
};

// The exit code if the program is to end now.
std::optional<int> ReadSettings(int argc, char** argv, Settings* settings);

}  // namespace cuda_camera
