#include "lab/bench/hooks/hooks_calls.h"

#include <fmt/core.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lab/bench/hooks/hooks_site.h"
#include "launch/daemon_control.h"

namespace stagger::cli {
namespace {

// "GPU-" and groups of hexadecimal digits, as the digits alone.
Result<std::string> UuidOfGpu(const nlohmann::json& status) {
  for (const nlohmann::json& device : status.value("devices", nlohmann::json::array())) {
    if (!device.contains("uuid") || !device["uuid"].is_string()) continue;
    std::string uuid = device["uuid"].get<std::string>();
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
  Result<HooksSite> site = HooksSite::Open(place, /*with_log=*/false);
  if (!site) return site.error();
  if (const auto started = site->StartDaemon(place); !started) return started.error();
  Result<nlohmann::json> status = AskDaemon(site->daemon->socket(), "status");
  if (!status) return status.error();
  const Result<std::string> uuid = UuidOfGpu(*status);
  if (!uuid) return uuid.error();

  ChildSpec spec;
  spec.path = *folder + "/call-probe";
  spec.argv = {"call-probe", std::to_string(blocks)};
  spec.environment = AppEnvironment(*agents, site->daemon->socket(), {"call-probe"});
  spec.environment["LD_LIBRARY_PATH"] = *folder;
  spec.environment["STAGGER_NULL_DRIVER_UUID"] = *uuid;
  spec.out_file = site->dir.File("app-1.out");
  spec.err_file = site->dir.File("app-1.err");
  std::vector<ChildProcess> apps;
  Result<ChildProcess> probe = ChildProcess::Start(spec, place.keeper);
  if (!probe) return probe.error();
  apps.push_back(std::move(probe).value());
  if (const auto ended =
          AwaitApps(apps, place.stop, site->dir, std::chrono::milliseconds{50}, [] {});
      !ended) {
    return ended.error();
  }

  std::ifstream file(spec.out_file);
  const nlohmann::json said = nlohmann::json::parse(file, nullptr, false);
  if (!said.is_object() || !said.value("preloaded", false)) {
    return Error{"the agent was not in the program that times calls"};
  }
  status = AskDaemon(site->daemon->socket(), "status");
  if (!status) return status.error();
  // One turn per inference once the agent knows them, and some more until then: else what was timed
  // was no body.
  const int turns = status->at("totals").value("done", 0);
  const int inferences = said.value("inferences", 0);
  if (turns < blocks || turns > 2 * inferences) {
    return Error{
        fmt::format("{} turns in {} inferences: their bodies were not found", turns, inferences)};
  }
  if (const auto closed = site->Close(); !closed) return closed.error();
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
