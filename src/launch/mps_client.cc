#include "launch/mps_client.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "launch/daemon_control.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

MpsView MpsOf(const json& status) {
  MpsView view;
  view.mode = "off";
  view.reason = "this daemon knows nothing of it";
  if (const auto mps = status.find("mps"); mps != status.end() && mps->is_object()) {
    view.running = TextAt(*mps, "state") == "running";
    view.mode = TextAt(*mps, "mode");
    view.reason = TextAt(*mps, "reason");
    view.pipe_directory = TextAt(*mps, "pipe_directory");
  }
  if (const auto devices = status.find("devices"); devices != status.end()) {
    for (const json& device : *devices) {
      if (std::string uuid = TextAt(device, "uuid"); !uuid.empty()) {
        view.gpus.push_back(std::move(uuid));
      }
    }
  }
  return view;
}

Result<MpsView> AskMps(const std::string& socket, Duration timeout) {
  const Result<json> status = AskDaemon(socket, "status", nullptr, timeout);
  if (!status) return status.error();
  return MpsOf(*status);
}

Environment MpsEnvironment(const MpsView& mps, const StreamSettings& stream) {
  Environment environment;
  if (!mps.pipe_directory.empty()) environment["CUDA_MPS_PIPE_DIRECTORY"] = mps.pipe_directory;
  if (stream.gpu_threads_percent) {
    environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] =
        fmt::format("{:g}", *stream.gpu_threads_percent);
  }
  if (stream.gpu_memory_gb) {
    // A GB is 10^9 bytes here as in all of our figures, NVIDIA's M is 2^20.
    const auto mib =
        std::max<long>(1, std::lround(std::floor(*stream.gpu_memory_gb * 1e9 / 1048576)));
    std::string limits;
    for (const std::string& gpu : mps.gpus) {
      limits += fmt::format("{}{}={}M", limits.empty() ? "" : ",", gpu, mib);
    }
    environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] =
        limits.empty() ? fmt::format("0={}M", mib) : limits;
  }
  return environment;
}

std::optional<std::string> WhyNoLimits(const MpsView& mps, const StreamSettings& stream) {
  if (!WantsLimits(stream) || mps.running) return std::nullopt;
  const char* what = !stream.gpu_memory_gb         ? "its limit of GPU threads"
                     : !stream.gpu_threads_percent ? "its limit of GPU memory"
                                                   : "its limits of GPU threads and memory";
  return fmt::format("{} will not be kept: MPS does not run{} (staggerd --mps on)", what,
                     mps.reason.empty() ? "" : " (" + mps.reason + ")");
}

}  // namespace stagger::cli
