#include "launch/mps_client.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace stagger::cli {

Environment MpsEnvironment(const documents::Status& daemon, const StreamSettings& stream) {
  Environment environment;
  if (daemon.mps.pipe_directory) {
    environment["CUDA_MPS_PIPE_DIRECTORY"] = *daemon.mps.pipe_directory;
  }
  if (stream.gpu_threads_percent) {
    environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] =
        fmt::format("{:g}", *stream.gpu_threads_percent);
  }
  if (stream.gpu_memory_gb) {
    // A GB is 10^9 bytes here as in all of our figures, NVIDIA's M is 2^20.
    const auto mib =
        std::max<long>(1, std::lround(std::floor(*stream.gpu_memory_gb * 1e9 / 1048576)));
    std::string limits;
    for (const documents::Device& device : daemon.devices) {
      if (!device.uuid) continue;
      limits += fmt::format("{}{}={}M", limits.empty() ? "" : ",", *device.uuid, mib);
    }
    environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] =
        limits.empty() ? fmt::format("0={}M", mib) : limits;
  }
  return environment;
}

std::optional<std::string> WhyNoLimits(const documents::Status& daemon,
                                       const StreamSettings& stream) {
  if (!WantsLimits(stream) || daemon.mps.state == "running") return std::nullopt;
  const char* what = !stream.gpu_memory_gb         ? "its limit of GPU threads"
                     : !stream.gpu_threads_percent ? "its limit of GPU memory"
                                                   : "its limits of GPU threads and memory";
  return fmt::format("{} will not be kept: MPS does not run{} (staggerd --mps on)", what,
                     daemon.mps.reason ? " (" + *daemon.mps.reason + ")" : "");
}

}  // namespace stagger::cli
