// The command line of stagger-executor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace stagger::executor {

struct Options {
  std::string socket;
  std::string device = "cpu";
  std::vector<unsigned> cores;  // of the device, or beside the GPU; never empty
  std::optional<unsigned> gpu;  // by its number on this machine
  double share = 1;             // of its time
  double shared_memory_mb = 1024;
  double memory_mb = 0;  // 0: no limit
  int max_batch = 8;
  int ready_fd = -1;
  bool status = false;  // ask the executor at `socket` and print what it says
};

// What a device's name stands for: "cpu" all cores that this process may use, "cpu:N" that one,
// "gpu:N" a GPU, with all cores for what has to be done beside it.
struct DeviceName {
  std::vector<unsigned> cores;
  std::optional<unsigned> gpu;
};
Result<DeviceName> ParseDevice(const std::string& device);

// The options, or the exit code if there is nothing more to do (help was printed, or an error).
struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;
};
Parsed ParseOptions(int argc, char** argv);

}  // namespace stagger::executor
