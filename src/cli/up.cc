// stagger up: every app of a site file under control, and a daemon if none runs.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/auto_devices.h"
#include "cli/daemon_control.h"
#include "cli/gpu_faults.h"
#include "cli/installation.h"
#include "cli/moves.h"
#include "cli/mps_client.h"
#include "cli/placing.h"
#include "cli/preload.h"
#include "cli/private_daemon.h"
#include "cli/probe.h"
#include "cli/scratch_dir.h"
#include "cli/site_file.h"
#include "cli/site_program.h"
#include "cli/supervisor.h"
#include "cli/verbs.h"
#include "cli/workplace.h"
#include "core/device_choice.h"

namespace stagger::cli {
namespace {

// The apps' output waits meanwhile.
constexpr Duration kFaultAnswerLimit = std::chrono::milliseconds{300};
constexpr Duration kPlaceAnswerLimit = std::chrono::seconds{1};
constexpr double kPlanSeconds = 1;
constexpr const char* kVisibleDevices = "CUDA_VISIBLE_DEVICES";

std::string ExecutorName(const SiteDevice& device) { return "executor-" + device.plan.name; }
bool IsGpu(const SiteDevice& device) { return device.on.starts_with("gpu:"); }

// So that an executor's stream can say of each inference when it is due: the longest deadline of
// those that it may serve, in ms.
std::optional<double> LongestDeadline(const Site& site) {
  std::optional<double> longest;
  for (const SiteApp& app : site.apps) {
    if (!app.executor) continue;
    const double deadline =
        app.stream.deadline_ms.value_or(app.stream.fps ? 1000 / *app.stream.fps : 0);
    if (deadline > longest.value_or(0)) longest = deadline;
  }
  return longest;
}

// One executor per core that the site names: it asks for turns as the apps it serves would. One per
// device of the plan that is a core, or a share of one: that is its own, so it asks for none. One
// per GPU of the plan that is to have one: apps use that GPU too, so it does.
Result<std::vector<Supervised>> PrepareExecutors(const Site& site, const Installation& installation,
                                                 const std::string& agents,
                                                 const std::string& socket,
                                                 const ScratchDir& scratch) {
  std::vector<Supervised> executors;
  const bool planned = std::ranges::any_of(
      site.declared, [](const SiteDevice& device) { return device.has_executor(); });
  if (site.cores.empty() && !planned) return executors;
  const Result<std::string> program = installation.Executor();
  if (!program) return program.error();
  for (const std::string& core : site.cores) {
    Supervised executor;
    executor.name = "executor-" + core;
    executor.serves = scratch.File(core);
    executor.spec.path = *program;
    executor.spec.argv = {"stagger-executor", "--device", core, "--socket", executor.serves};
    executor.spec.pipe_output = true;
    executor.spec.environment = AppEnvironment(agents, socket, {.name = executor.name});
    executors.push_back(std::move(executor));
  }
  for (std::size_t i = 0; i < site.declared.size(); ++i) {
    const SiteDevice& device = site.declared[i];
    if (!device.has_executor()) continue;
    Supervised executor;
    executor.name = ExecutorName(device);
    executor.serves = scratch.File(fmt::format("executor-{}", i));
    executor.spec.path = *program;
    executor.spec.argv = {
        "stagger-executor", "--device",     device.on, "--share", fmt::format("{}", device.share),
        "--socket",         executor.serves};
    if (device.plan.memory_gb > 0) {
      executor.spec.argv.push_back("--memory");
      executor.spec.argv.push_back(
          fmt::format("{}", std::max(1.0, device.plan.memory_gb * 1e9 / (1 << 20))));
    }
    executor.spec.pipe_output = true;
    if (IsGpu(device)) {
      executor.spec.environment = AppEnvironment(
          agents, socket, {.name = executor.name, .deadline_ms = LongestDeadline(site)});
    }
    executors.push_back(std::move(executor));
  }
  return executors;
}

// Those that have no place in the plan are left out, which is said. `sockets`: the executors'.
Result<std::vector<Supervised>> PrepareApps(const Site& site, const SitePlan* plan,
                                            const Installation& installation,
                                            const std::string& socket,
                                            const std::vector<std::string>& sockets) {
  const Result<std::string> agent = installation.Agents();
  if (!agent) return agent.error();
  std::vector<Supervised> apps;
  for (const SiteApp& app : site.apps) {
    if (app.command.empty())
      return Error{app.stream.name + ": no command; a profile alone is for stagger plan"};
    Result<std::string> program =
        FindProgram(app.command.front(), site.folder, installation.examples());
    if (!program) return Error{fmt::format("{}: {}", app.stream.name, program.error().message)};
    if (std::string why; plan != nullptr && !plan->Has(app.stream.name, &why)) {
      fmt::print(stderr, "stagger: {}: not started: {}\n", app.stream.name, why);
      continue;
    }
    if (plan != nullptr && app.environment.contains(kVisibleDevices)) {
      return Error{fmt::format("{}: env: {} is for the plan to set; expected none", app.stream.name,
                               kVisibleDevices)};
    }
    Supervised supervised;
    supervised.name = app.stream.name;
    supervised.spec.path = std::move(program).value();
    supervised.spec.argv = app.command;
    supervised.spec.pipe_output = true;
    const Preload preload = PreloadOf(supervised.spec.path);
    if (!preload.why_not.empty()) {
      fmt::print(stderr, "stagger: {}: runs uncontrolled: {}\n", app.stream.name, preload.why_not);
    }
    const std::string agents = preload.wanted ? *agent : "";
    StreamSettings stream = app.stream;
    if (app.executor && plan == nullptr) stream.executors = sockets;
    stream.forwards = app.executor;
    supervised.spec.environment = AppEnvironment(agents, socket, stream);
    for (const auto& [name, value] : app.environment) {
      // The site's own preload comes after ours, as one in our environment would.
      supervised.spec.environment[name] =
          name == "LD_PRELOAD" ? PreloadValue(agents, value.c_str()) : value;
    }
    apps.push_back(std::move(supervised));
  }
  return apps;
}

// The executors, then the apps.
Result<std::vector<Supervised>> Prepare(const Site& site, const SitePlan* plan,
                                        const Installation& installation, const std::string& socket,
                                        const ScratchDir& scratch,
                                        std::vector<std::string>* sockets) {
  const Result<std::string> agent = installation.Agents();
  if (!agent) return agent.error();
  Result<std::vector<Supervised>> all =
      PrepareExecutors(site, installation, *agent, socket, scratch);
  if (!all) return all.error();
  for (const Supervised& executor : *all) sockets->push_back(executor.serves);
  Result<std::vector<Supervised>> apps = PrepareApps(site, plan, installation, socket, *sockets);
  if (!apps) return apps.error();
  std::ranges::move(*apps, std::back_inserter(*all));
  return all;
}

// A daemon that runs already keeps its devices: those the site names must be among them.
Result<void> CheckDevices(const Site& site, const nlohmann::json& in_force) {
  const Result<core::DeviceChoice> choice = core::ParseDeviceChoice(site.devices);
  if (!choice) return choice.error();
  std::vector<std::string> names;
  for (const nlohmann::json& device : in_force.at("devices")) {
    names.push_back(device.at("name").get<std::string>());
  }
  for (const unsigned number : choice->gpus) {
    if (std::ranges::count(names, core::GpuName(number)) > 0) continue;
    return Error{fmt::format("devices: {} is not one of the running daemon's: {}",
                             core::GpuName(number), fmt::join(names, ", "))};
  }
  return {};
}

// A daemon that runs already takes the site's policy, if it names one.
Result<void> ApplyPolicy(const Site& site, const std::string& socket) {
  nlohmann::json body = nlohmann::json::object();
  if (!site.policy.empty()) body["name"] = site.policy;
  if (!site.concurrency.empty()) body["concurrency"] = ConcurrencyArgument(site.concurrency);
  if (site.demand_limit > 0) body["demand_limit"] = site.demand_limit;
  const Result<nlohmann::json> answer =
      body.empty() ? AskDaemon(socket, "policy") : AskDaemon(socket, "policy", body);
  if (!answer) return answer.error();
  return site.devices.empty() ? Result<void>() : CheckDevices(site, *answer);
}

// Makes the apps clients of the daemon's MPS. Error: the site insists on what is not there.
Result<void> ApplyMps(const Site& site, const std::string& socket, std::vector<Supervised>* apps) {
  const Result<MpsView> mps = AskMps(socket, kControlTimeout);
  if (!mps) return mps.error();
  if (site.mps == "on" && !mps->running) {
    return Error{fmt::format("mps: the site asks for 'on', and the running daemon has none: {}",
                             mps->reason)};
  }
  if (site.mps == "off" && mps->running) {
    fmt::print(stderr, "stagger: the site asks for no MPS, and the running daemon has it\n");
  }
  for (const SiteDevice& device : site.declared) {
    if (!device.has_executor() || !IsGpu(device)) continue;
    const auto started = std::ranges::find(*apps, ExecutorName(device), &Supervised::name);
    if (started != apps->end()) started->spec.environment.merge(MpsEnvironment(*mps, {}));
  }
  for (const SiteApp& app : site.apps) {
    const StreamSettings& stream = app.stream;
    const auto started = std::ranges::find(*apps, stream.name, &Supervised::name);
    if (started == apps->end()) continue;
    // What the site's env says itself stays.
    started->spec.environment.merge(MpsEnvironment(*mps, stream));
    if (const auto why = WhyNoLimits(*mps, stream)) {
      fmt::print(stderr, "stagger: {}: {}\n", stream.name, *why);
    }
  }
  return {};
}

// The daemon keeps the plan from when its executors listen until we end; apps ask it where they run
// each time they start.
SupervisorHooks HooksOf(const Site& site, SitePlan* plan, const std::string& socket,
                        const ScratchDir& scratch) {
  std::map<std::string, std::string> sockets;
  for (std::size_t i = 0; i < site.declared.size(); ++i) {
    if (!site.declared[i].has_executor()) continue;
    sockets[site.declared[i].plan.name] = scratch.File(fmt::format("executor-{}", i));
  }
  SupervisorHooks hooks;
  hooks.ready = [plan, socket, sockets] { return plan->Apply(socket, sockets); };
  const auto moves = std::make_shared<Moves>(socket);
  hooks.moved = [moves](const std::vector<std::string>& names) {
    return moves->Moved(names, kPlaceAnswerLimit);
  };
  hooks.restart_moved = site.restart_on_move;
  hooks.starting = [socket, moves](const std::string& name, ChildSpec* spec) -> Result<void> {
    const Result<Place> place = AskPlace(socket, name, kPlaceAnswerLimit);
    if (!place)
      return {};  // where it was last, if anywhere; it will be told when there is a daemon
    if (place->devices.empty()) return Error{"it has no place: " + place->reason};
    for (const auto& [variable, value] : PlaceEnvironment(*place)) {
      spec->environment[variable] = value;
    }
    moves->Started(name, *place);
    fmt::print(stderr, "stagger: {}: on {}: {}\n", name, fmt::join(place->devices, ", "),
               place->reason);
    return {};
  };
  hooks.finished = [plan, socket](const std::string& name) {
    plan->Finished(name);
    GiveUpPlace(socket, name);
  };
  hooks.every_second = [plan] {
    if (plan->KeepInStep()) {
      fmt::print(stderr, "stagger: the daemon is back, and has the plan again\n");
    }
  };
  return hooks;
}

// What a reload needs of a site that runs.
struct RunningSite {
  std::string file;
  Site site;  // as it runs
  SitePlan* plan = nullptr;
  bool partial = false;
  const Installation* installation = nullptr;
  std::string socket;
  std::vector<std::string> executors;  // sockets
};

// The file as it is now; what has to be asked of the machine is as it was.
Result<Site> ReadAgain(const RunningSite& running) {
  Result<Site> next = ReadSite(running.file);
  if (!next) return next;
  const Site& now = running.site;
  if (running.plan != nullptr && next->devices == "auto" && next->declared.empty()) {
    next->declared = now.declared;
    next->devices = now.devices;
  }
  if (next->devices != now.devices || next->declared != now.declared || next->cores != now.cores) {
    return Error{
        "devices: changed, which a site that runs cannot follow; stop it and start it again"};
  }
  if (next->mps != now.mps) {
    return Error{"mps: changed, which a site that runs cannot follow; stop it and start it again"};
  }
  if (next->restart_on_move != now.restart_on_move) {
    return Error{
        "on_move: changed, which a site that runs cannot follow; stop it and start it again"};
  }
  for (SiteApp& app : next->apps) {
    if (app.profile || running.plan == nullptr) continue;
    const auto same = std::ranges::find(now.apps, app.stream.name,
                                        [](const SiteApp& each) { return each.stream.name; });
    const auto known =
        same != now.apps.end() ? same : std::ranges::find(now.apps, app.app, &SiteApp::app);
    if (known == now.apps.end() || (known == same && known->command != app.command)) {
      return Error{app.stream.name +
                   ": no profile, and nothing is tried while the site runs; expected a profile"};
    }
    app.profile = known->profile;
  }
  return next;
}

Result<SiteChange> Reload(RunningSite* running) {
  Result<Site> next = ReadAgain(*running);
  if (!next) return next.error();
  SiteChange change;
  std::vector<std::string> fresh;
  Site started = *next;
  started.apps.clear();
  for (const SiteApp& app : next->apps) {
    const auto before = std::ranges::find(running->site.apps, app.stream.name,
                                          [](const SiteApp& each) { return each.stream.name; });
    if (before != running->site.apps.end() && *before == app) continue;
    if (before != running->site.apps.end()) change.stop.push_back(app.stream.name);
    fresh.push_back(app.stream.name);
    started.apps.push_back(app);
  }
  for (const SiteApp& app : running->site.apps) {
    const bool stays = std::ranges::any_of(
        next->apps, [&](const SiteApp& each) { return each.stream.name == app.stream.name; });
    if (!stays) change.stop.push_back(app.stream.name);
  }
  std::optional<SitePlan> plan;
  if (running->plan != nullptr) {
    Result<SitePlan> made = running->plan->ChangedTo(*next, running->partial);
    if (!made) return made.error();
    plan.emplace(std::move(made).value());
  }
  Result<std::vector<Supervised>> apps =
      PrepareApps(started, plan ? &*plan : nullptr, *running->installation, running->socket,
                  running->executors);
  if (!apps) return apps.error();
  if (const Result<void> applied = ApplyPolicy(*next, running->socket); !applied) {
    return applied.error();
  }
  if (const Result<void> mps = ApplyMps(*next, running->socket, &*apps); !mps) return mps.error();
  if (plan) {
    if (const Result<void> applied = plan->ApplyChange(running->plan, change.stop, fresh);
        !applied) {
      return applied.error();
    }
    *running->plan = std::move(*plan);
  }
  change.start = std::move(apps).value();
  running->site = std::move(next).value();
  return change;
}

Result<void> RunSite(const std::string& file, Site site, bool partial, const std::string& socket,
                     const std::string& http) {
  Result<Workplace> place = Workplace::Open();
  if (!place) return place.error();
  std::optional<SitePlan> plan;
  if (AutoNeedsPlan(site)) {
    if (const Result<void> found = DeclareAuto(&site); !found) return found;
  }
  if (HasPlan(site)) {
    if (NeedsProbe(site)) {
      if (const Result<void> probed = Probe(*place, &site); !probed) return probed.error();
    }
    Result<SitePlan> made = SitePlan::Make(site, partial, kPlanSeconds);
    if (!made) return made.error();
    plan.emplace(std::move(made).value());
  } else if (!site.declared.empty()) {
    return Error{
        "devices: they say how fast they are, and not what they are, which is enough for stagger "
        "plan only; expected e.g. {name: a, on: cpu:0, speed: 1}, or on: gpu:0"};
  }
  Result<ScratchDir> scratch = ScratchDir::Make(place->keeper);
  if (!scratch) return scratch.error();
  std::vector<std::string> executors;
  Result<std::vector<Supervised>> apps =
      Prepare(site, plan ? &*plan : nullptr, place->installation, socket, *scratch, &executors);
  if (!apps) return apps.error();

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
    Result<PrivateDaemon> started = PrivateDaemon::Start(place->installation, spec, place->keeper);
    if (!started) return started.error();
    daemon.emplace(std::move(started).value());
  }
  if (const Result<void> applied = ApplyMps(site, socket, &*apps); !applied) {
    return applied.error();
  }
  if (const std::string trouble = Installation::DriverTrouble(); !trouble.empty()) {
    fmt::print(stderr, "stagger: GPU calls are not controlled: the CUDA driver does not load: {}\n",
               trouble);
  }
  Supervisor supervisor(std::move(apps).value(), place->keeper, place->stop);
  const auto ask_faults = [&socket]() -> std::optional<std::vector<GpuFault>> {
    const auto status = AskDaemon(socket, "status", nullptr, kFaultAnswerLimit);
    if (!status) return std::nullopt;
    return FaultsOf(*status);
  };
  // Where no driver loads there is no GPU that could fail.
  const bool gpus = *place->installation.Agents() != *place->installation.Agent();
  if (gpus) supervisor.WatchFaults(ask_faults);
  SupervisorHooks hooks;
  if (plan) hooks = HooksOf(site, &*plan, socket, *scratch);
  RunningSite running{file,   site,     plan ? &*plan : nullptr, partial, &place->installation,
                      socket, executors};
  hooks.reload = [&running] { return Reload(&running); };
  place->stop.HangupsMeanReload();
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
