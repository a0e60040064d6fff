#include "lab/bench/hooks/hooks_calls.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/leg_claims.h"
#include "lab/vgpu/virtual_gpu.h"
#include "launch/daemon_control.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr double kUngatedNs = 50;
constexpr double kBodyLaunchNs = 150;
constexpr double kNotHookedNs = 1;
constexpr LegClaim kWholeApp[] = {{"alone-60 mean inference, controlled / bare", kAloneControlled,
                                   kAloneBare, MeanInference, Bound::kAtMost, 1.005}};

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
  const std::string folder = STAGGER_TRY(place.installation.NullDriver());
  const std::string agents = STAGGER_TRY(place.installation.CudaAgents());
  const DisturbanceWatch watched;
  const ScratchDir dir = STAGGER_TRY(ScratchDir::Make(place.keeper));
  VirtualGpuSpec device;
  device.server.devices = {*vgpu::BuiltInModel("t4")};
  VirtualGpu gpu = STAGGER_TRY(VirtualGpu::Start(place.installation, device, place.keeper));
  DaemonSpec daemon_spec;
  daemon_spec.socket = dir.File("daemon.sock");
  daemon_spec.policy = "fifo";
  daemon_spec.devices = "gpu:0";
  daemon_spec.concurrency = "1";
  daemon_spec.err_file = dir.File("staggerd.err");
  daemon_spec.environment = gpu.environment();
  const PrivateDaemon daemon =
      STAGGER_TRY(PrivateDaemon::Start(place.installation, daemon_spec, place.keeper));
  Result<documents::Status> status = AskStatus(daemon.socket());
  if (!status) return status.error();
  const std::string uuid = STAGGER_TRY(UuidOfGpu(*status));

  ChildSpec spec;
  spec.path = folder + "/call-probe";
  spec.argv = {"call-probe", std::to_string(blocks)};
  spec.environment = AppEnvironment(agents, daemon.socket(), {"call-probe"});
  spec.environment["LD_LIBRARY_PATH"] = folder;
  spec.environment["STAGGER_NULL_DRIVER_UUID"] = uuid;
  spec.out_file = dir.File("call-probe.out");
  spec.err_file = dir.File("call-probe.err");
  ChildProcess probe = STAGGER_TRY(ChildProcess::Start(spec, place.keeper));
  if (const auto ended = AwaitEnd(probe, kPatience, place.stop); !ended) {
    return Error{fmt::format("call-probe {}: {}", ended.error().message, LastLine(spec.err_file))};
  }

  std::ifstream file(spec.out_file);
  const nlohmann::json said = nlohmann::json::parse(file, nullptr, false);
  if (!said.is_object() || !said.value("preloaded", false)) {
    return Error{"the agent was not in the program that times calls"};
  }
  status = AskStatus(daemon.socket());
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

std::vector<Claim> HooksClaims(const std::vector<CallRun>& calls, const LegRuns& legs) {
  std::vector<Claim> claims;
  const std::size_t kinds = calls.empty() ? 0 : calls.front().calls.size();
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    std::vector<Paired> values;
    for (const CallRun& run : calls) {
      values.push_back({run.calls[kind].added_ns, run.disturbance.disturbed()});
    }
    const std::string& call = calls.front().calls[kind].call;
    const double limit = call == "launch in a body" ? kBodyLaunchNs
                         : call == "not hooked"     ? kNotHookedNs
                                                    : kUngatedNs;
    claims.push_back(Judge(fmt::format("{}, added (ns)", call), values, Bound::kAtMost, limit));
  }
  std::ranges::copy(JudgeLegs(kWholeApp, legs), std::back_inserter(claims));
  return claims;
}

}  // namespace stagger::cli
