// stagger up: every app of a site file under control, and a daemon if none runs.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/try.h"
#include "cli/verbs.h"
#include "console/arguments.h"
#include "launch/daemon_control.h"
#include "launch/installation.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"
#include "site/applied_plan.h"
#include "site/auto_devices.h"
#include "site/gpu_faults.h"
#include "site/probe.h"
#include "site/site_file.h"
#include "site/site_plan.h"
#include "site/site_processes.h"
#include "site/site_reload.h"
#include "site/supervisor.h"

namespace stagger::cli {
namespace {

// The apps' output waits meanwhile.
constexpr Duration kFaultAnswerLimit = std::chrono::milliseconds{300};
constexpr double kPlanSeconds = 1;

// The daemon keeps the plan from when its executors listen until we end.
SupervisorHooks HooksOf(const Site& site, AppliedPlan* plan) {
  SupervisorHooks hooks;
  hooks.ready = [plan] { return plan->Give(); };
  hooks.places_fd = [plan] { return plan->fd(); };
  hooks.places_came = [plan] { return plan->News(); };
  hooks.restart_moved = site.restart_on_move;
  hooks.starting = [plan](const std::string& name, ChildSpec* spec) -> Result<void> {
    const Place place = STAGGER_TRY(plan->Start(name));
    for (const auto& [variable, value] : PlaceEnvironment(place)) {
      spec->environment[variable] = value;
    }
    fmt::print(stderr, "stagger: {}: on {}: {}\n", name, fmt::join(place.devices, ", "),
               place.reason);
    return {};
  };
  hooks.finished = [plan](const std::string& name) { plan->Finished(name); };
  hooks.every_second = [plan] {
    if (plan->GiveAgain()) {
      fmt::print(stderr, "stagger: the daemon is back, and has the plan again\n");
    }
  };
  return hooks;
}

std::map<std::string, std::string> SocketsOf(const Site& site, const ScratchDir& scratch) {
  std::map<std::string, std::string> sockets;
  for (std::size_t i = 0; i < site.declared.size(); ++i) {
    if (!site.declared[i].has_executor()) continue;
    sockets[site.declared[i].plan.name] = scratch.File(fmt::format("executor-{}", i));
  }
  return sockets;
}

Result<void> RunSite(const std::string& file, Site site, bool partial, const std::string& socket,
                     const std::string& http) {
  Workplace place = STAGGER_TRY(Workplace::Open());
  std::optional<SitePlan> plan;
  if (AutoNeedsPlan(site)) {
    if (Result<void> found = DeclareAuto(&site); !found) return found;
  }
  if (HasPlan(site)) {
    if (NeedsProbe(site)) {
      if (const Result<void> probed = Probe(place, &site); !probed) return probed.error();
    }
    plan = STAGGER_TRY(SitePlan::Make(site, partial, kPlanSeconds));
  } else if (!site.declared.empty()) {
    return Error{
        "devices: they say how fast they are, and not what they are, which is enough for stagger "
        "plan only; expected e.g. {name: a, on: cpu:0, speed: 1}, or on: gpu:0"};
  }
  ScratchDir scratch = STAGGER_TRY(ScratchDir::Make(place.keeper));
  std::vector<std::string> executors;
  std::vector<Supervised> apps = STAGGER_TRY(
      PrepareSite(site, plan ? &*plan : nullptr, place.installation, socket, scratch, &executors));

  std::optional<PrivateDaemon> daemon;
  if (DaemonListens(socket)) {
    fmt::print(stderr, "stagger: using the daemon at {}\n", socket);
    if (const Result<void> applied = ApplyPolicy(site, socket); !applied) return applied.error();
  } else {
    DaemonSpec spec;
    spec.socket = socket;
    spec.policy = site.policy;
    spec.concurrency = site.concurrency;
    if (site.demand_limit > 0) spec.demand_limit = fmt::format("{:g}", site.demand_limit);
    spec.devices = site.devices;
    spec.mps = site.mps;
    spec.http = http;
    daemon = STAGGER_TRY(PrivateDaemon::Start(place.installation, spec, place.keeper));
  }
  if (const Result<void> applied = ApplyMps(site, socket, &apps); !applied) {
    return applied.error();
  }
  if (const std::string trouble = Installation::DriverTrouble(); !trouble.empty()) {
    fmt::print(stderr, "stagger: GPU calls are not controlled: the CUDA driver does not load: {}\n",
               trouble);
  }
  Supervisor supervisor(std::move(apps), place.keeper, place.stop);
  const auto ask_faults = [&socket]() -> std::optional<std::vector<GpuFault>> {
    const auto status = AskStatus(socket, kFaultAnswerLimit);
    if (!status) return std::nullopt;
    return FaultsOf(*status);
  };
  // Where no driver loads there is no GPU that could fail.
  const bool gpus = *place.installation.Agents() != *place.installation.Agent();
  if (gpus) supervisor.WatchFaults(ask_faults);
  SupervisorHooks hooks;
  std::optional<AppliedPlan> applied;
  if (plan) {
    applied.emplace(std::move(*plan), socket, SocketsOf(site, scratch));
    hooks = HooksOf(site, &*applied);
  }
  RunningSite running{file,   site,     applied ? &*applied : nullptr, partial, &place.installation,
                      socket, executors};
  hooks.reload = [&running] { return Reload(&running); };
  place.stop.HangupsMeanReload();
  supervisor.Hook(std::move(hooks));
  return supervisor.Run(daemon ? &daemon->process() : nullptr);
}

}  // namespace

int UpVerb(const Arguments& arguments) {
  CLI::App app{
      "Starts every app of a site file under control, and a daemon if none runs. An app that fails "
      "is "
      "started again; Ctrl-C stops all of it. After a change of the file, kill -HUP has it read "
      "again: "
      "only the apps that changed are started or stopped.",
      "stagger up"};
  std::string file;
  std::string socket;
  std::string http = "127.0.0.1:7878";
  app.add_option("site", file, "the site file (YAML)")->required();
  bool partial = false;
  app.add_flag("--partial", partial,
               "where not all fit on the devices: start those that do, instead of none");
  app.add_option("--socket", socket, "the daemon's socket");
  app.add_option("--http", http, "the dashboard's address, or off, if a daemon is started here")
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;

  const Result<Site> site = ReadSite(file);
  if (!site) {
    PrintError(site.error().message);
    return kExitUsage;
  }
  const Result<void> ran = RunSite(file, *site, partial, SocketPath(socket), http);
  if (!ran) {
    PrintError("up: " + ran.error().message);
    return kExitFailed;
  }
  return kExitOk;
}

}  // namespace stagger::cli
