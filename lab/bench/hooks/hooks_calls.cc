#include "lab/bench/hooks/hooks_calls.h"

#include <fmt/core.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lab/bench/bench_frame.h"
#include "lab/vgpu/virtual_gpu.h"
#include "launch/daemon_control.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds{60};

// "GPU-" and groups of hexadecimal digits, as the digits alone.
Result<std::string> UuidOfGpu(const documents::Status& status) {
  for (const documents::Device& device : status.devices) {
    if (!device.uuid) continue;
    std::string uuid = *device.uuid;
    if (uuid.rfind("GPU-", 0) == 0) uuid.erase(0, 4);
    std::erase(uuid, '-');
    return uuid;
  }
  return Error{"the daemon does not see the virtual GPU"};
}

}  // namespace

Result<CallRun> RunCalls(Workplace& place, int blocks) {
  const Result<std::string> folder = place.installation.NullDriver();
  if (!folder) return folder.error();
  const Result<std::string> agents = place.installation.CudaAgents();
  if (!agents) return agents.error();
  const DisturbanceWatch watched;
  const Result<ScratchDir> dir = ScratchDir::Make(place.keeper);
  if (!dir) return dir.error();
  VirtualGpuSpec device;
  device.server.devices = {*vgpu::BuiltInModel("t4")};
  Result<VirtualGpu> gpu = VirtualGpu::Start(place.installation, device, place.keeper);
  if (!gpu) return gpu.error();
  DaemonSpec daemon_spec;
  daemon_spec.socket = dir->File("daemon.sock");
  daemon_spec.policy = "fifo";
  daemon_spec.devices = "gpu:0";
  daemon_spec.concurrency = "1";
  daemon_spec.err_file = dir->File("staggerd.err");
  daemon_spec.environment = gpu->environment();
  const Result<PrivateDaemon> daemon =
      PrivateDaemon::Start(place.installation, daemon_spec, place.keeper);
  if (!daemon) return daemon.error();
  Result<documents::Status> status = AskStatus(daemon->socket());
  if (!status) return status.error();
  const Result<std::string> uuid = UuidOfGpu(*status);
  if (!uuid) return uuid.error();

  ChildSpec spec;
  spec.path = *folder + "/call-probe";
  spec.argv = {"call-probe", std::to_string(blocks)};
  spec.environment = AppEnvironment(*agents, daemon->socket(), {"call-probe"});
  spec.environment["LD_LIBRARY_PATH"] = *folder;
  spec.environment["STAGGER_NULL_DRIVER_UUID"] = *uuid;
  spec.out_file = dir->File("call-probe.out");
  spec.err_file = dir->File("call-probe.err");
  Result<ChildProcess> probe = ChildProcess::Start(spec, place.keeper);
  if (!probe) return probe.error();
  if (const auto ended = AwaitEnd(*probe, kPatience, place.stop); !ended) {
    return Error{fmt::format("call-probe {}: {}", ended.error().message, LastLine(spec.err_file))};
  }

  std::ifstream file(spec.out_file);
  const nlohmann::json said = nlohmann::json::parse(file, nullptr, false);
  if (!said.is_object() || !said.value("preloaded", false)) {
    return Error{"the agent was not in the program that times calls"};
  }
  status = AskStatus(daemon->socket());
  if (!status) return status.error();
  // One turn per inference once the agent knows them, and some more until then: else what was timed
  // was no body.
  const auto turns = static_cast<int>(status->totals.counters.done);
  const int inferences = said.value("inferences", 0);
  if (turns < blocks || turns > 2 * inferences) {
    return Error{
        fmt::format("{} turns in {} inferences: their bodies were not found", turns, inferences)};
  }
  CallRun run;
  run.clock_ns = said.value("clock_ns", 0.0);
  for (const nlohmann::json& call : said.at("calls")) {
    run.calls.push_back(
        {call.value("call", ""), call.value("bare_ns", 0.0), call.value("added_ns", 0.0)});
  }
  run.disturbance = watched.SoFar();
  return run;
}

}  // namespace stagger::cli
