// What an app's environment must hold to be under control, and what a stream may ask for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/excess.h"
#include "base/result.h"

namespace stagger::cli {

using Environment = std::map<std::string, std::string>;

struct StreamSettings {
  std::string name;  // empty: the daemon makes one
  std::optional<double> fps{};
  std::optional<double> deadline_ms{};
  std::optional<double> weight{};
  std::optional<double> min_fps{};
  // Under MPS: how much of a GPU's threads its kernels may fill, and of each GPU's memory.
  std::optional<double> gpu_threads_percent{};
  std::optional<double> gpu_memory_gb{};
  std::vector<std::string> executors{};  // sockets of those that run its inferences; empty: itself
  bool forwards = false;                 // the daemon may send them to executors while it runs
  int pipeline = 0;                      // a result comes so many calls later
  std::optional<Excess> excess{};        // what happens to calls beyond `fps`; default: kPace
  friend bool operator==(const StreamSettings&, const StreamSettings&) = default;
};

// As site files and options take them.
inline constexpr double kLeastGpuThreads = 1;    // percent
inline constexpr double kLeastGpuMemory = 0.01;  // GB

// LD_PRELOAD (the agents before what is there already; no agent where `agents` is empty) and the
// STAGGER_ variables the agent reads.
Environment AppEnvironment(const std::string& agents, const std::string& socket,
                           const StreamSettings& stream);

inline constexpr int kMaxPipeline = 16;

// What `excess` needs and what it does not go with; the error names neither option nor field.
Result<void> CheckExcess(const StreamSettings& stream);

// Too long for the wire, or with characters that would break a line of output.
Result<void> CheckStreamName(const std::string& name);

}  // namespace stagger::cli
