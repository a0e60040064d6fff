#include "executor/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/cores.h"
#include "device/device_choice.h"

namespace stagger::executor {

Result<DeviceName> ParseDevice(const std::string& device) {
  const std::vector<unsigned> usable = UsableCores();
  if (device == "cpu") return DeviceName{usable, {}};
  unsigned core = 0;
  const char* end = device.data() + device.size();
  const auto choice = device::ParseDeviceChoice(device);
  if (choice && choice->gpus.size() == 1 && device == device::GpuName(choice->gpus[0])) {
    return DeviceName{usable, choice->gpus[0]};
  }
  if (!device.starts_with("cpu:") || std::from_chars(device.data() + 4, end, core).ptr != end ||
      device.size() == 4) {
    return Error{fmt::format(
        "device '{}': expected cpu, one core as in cpu:1, or one GPU as in gpu:0", device)};
  }
  if (std::ranges::count(usable, core) == 0) {
    return Error{fmt::format("device '{}': there is no such core for this process", device)};
  }
  return DeviceName{{core}, {}};
}

Parsed ParseOptions(int argc, char** argv) {
  CLI::App app{"Runs inferences that apps send it, on one device.", "stagger-executor"};
  Options options;
  app.add_option("--socket", options.socket, "where apps find it")->required();
  app.add_option(
         "--device", options.device,
         "cpu, one core as in cpu:1, or a GPU as in gpu:0 (the app's ONNX Runtime must have "
         "its CUDA execution provider)")
      ->capture_default_str();
  app.add_option("--share", options.share,
                 "of the core's time, so that several executors can divide a core: after an "
                 "inference it rests")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  app.add_option("--shared-memory", options.shared_memory_mb, "MB for all tensors on their way")
      ->check(CLI::Range(1.0, 1048576.0))
      ->capture_default_str();
  app.add_option(
         "--memory", options.memory_mb,
         "MB for loaded models, of the GPU's memory on a GPU; those least recently needed are "
         "unloaded (default: no limit)")
      ->check(CLI::Range(1.0, 1048576.0));
  app.add_option("--max-batch", options.max_batch,
                 "items that wait together may run as one, where that is faster; 1: each request "
                 "runs alone")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--ready-fd", options.ready_fd, "READY is written there once apps may come");
  app.add_flag("--status", options.status, "print what the executor at the socket does, as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return {std::nullopt, app.exit(success)};
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "stagger-executor: {}\n", error.what());
    return {std::nullopt, 2};
  }
  Result<DeviceName> device = ParseDevice(options.device);
  if (!device) {
    fmt::print(stderr, "stagger-executor: --device: {}\n", device.error().message);
    return {std::nullopt, 2};
  }
  options.cores = std::move(device->cores);
  options.gpu = device->gpu;
  if (options.share < 1 && (options.gpu || options.cores.size() > 1)) {
    fmt::print(stderr, "stagger-executor: --share: of one core only; expected --device cpu:N\n");
    return {std::nullopt, 2};
  }
  return {std::move(options), 0};
}

}  // namespace stagger::executor
