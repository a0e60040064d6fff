#include "site/site_processes.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/try.h"
#include "console/arguments.h"
#include "device/device_choice.h"
#include "documents/json.h"
#include "launch/daemon_control.h"
#include "launch/mps_client.h"
#include "launch/preload.h"
#include "site/site_program.h"

namespace stagger::cli {
namespace {

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
  const std::string program = STAGGER_TRY(installation.Executor());
  for (const std::string& core : site.cores) {
    Supervised executor;
    executor.name = "executor-" + core;
    executor.serves = scratch.File(core);
    executor.spec.path = program;
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
    executor.spec.path = program;
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

// A daemon that runs already keeps its devices: those the site names must be among them.
Result<void> CheckDevices(const Site& site, const documents::PolicyInForce& in_force) {
  const device::DeviceChoice choice = STAGGER_TRY(device::ParseDeviceChoice(site.devices));
  std::vector<std::string> names;
  for (const documents::DeviceConcurrency& device : in_force.devices) names.push_back(device.name);
  for (const unsigned number : choice.gpus) {
    if (std::ranges::count(names, device::GpuName(number)) > 0) continue;
    return Error{fmt::format("devices: {} is not one of the running daemon's: {}",
                             device::GpuName(number), fmt::join(names, ", "))};
  }
  return {};
}

}  // namespace

Result<std::vector<Supervised>> PrepareApps(const Site& site, const SitePlan* plan,
                                            const Installation& installation,
                                            const std::string& socket,
                                            const std::vector<std::string>& sockets) {
  const std::string agent = STAGGER_TRY(installation.Agents());
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
    const std::string agents = preload.wanted ? agent : "";
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

Result<std::vector<Supervised>> PrepareSite(const Site& site, const SitePlan* plan,
                                            const Installation& installation,
                                            const std::string& socket, const ScratchDir& scratch,
                                            std::vector<std::string>* sockets) {
  const std::string agent = STAGGER_TRY(installation.Agents());
  Result<std::vector<Supervised>> all =
      PrepareExecutors(site, installation, agent, socket, scratch);
  if (!all) return all.error();
  for (const Supervised& executor : *all) sockets->push_back(executor.serves);
  std::ranges::move(STAGGER_TRY(PrepareApps(site, plan, installation, socket, *sockets)),
                    std::back_inserter(*all));
  return all;
}

Result<void> ApplyPolicy(const Site& site, const std::string& socket) {
  nlohmann::json body = nlohmann::json::object();
  if (!site.policy.empty()) body["name"] = site.policy;
  if (!site.concurrency.empty()) body["concurrency"] = ConcurrencyArgument(site.concurrency);
  if (site.demand_limit > 0) body["demand_limit"] = site.demand_limit;
  const nlohmann::json answer =
      STAGGER_TRY(body.empty() ? AskDaemon(socket, "policy") : AskDaemon(socket, "policy", body));
  if (site.devices.empty()) return {};
  return CheckDevices(site, documents::Read<documents::PolicyInForce>(answer));
}

Result<void> ApplyMps(const Site& site, const std::string& socket, std::vector<Supervised>* apps) {
  const Result<documents::Status> daemon = AskStatus(socket);
  if (!daemon) return daemon.error();
  const bool mps_runs = daemon->mps.state == "running";
  if (site.mps == "on" && !mps_runs) {
    return Error{fmt::format("mps: the site asks for 'on', and the running daemon has none: {}",
                             daemon->mps.reason.value_or("it does not say why"))};
  }
  if (site.mps == "off" && mps_runs) {
    fmt::print(stderr, "stagger: the site asks for no MPS, and the running daemon has it\n");
  }
  for (const SiteDevice& device : site.declared) {
    if (!device.has_executor() || !IsGpu(device)) continue;
    const auto started = std::ranges::find(*apps, ExecutorName(device), &Supervised::name);
    if (started != apps->end()) started->spec.environment.merge(MpsEnvironment(*daemon, {}));
  }
  for (const SiteApp& app : site.apps) {
    const StreamSettings& stream = app.stream;
    const auto started = std::ranges::find(*apps, stream.name, &Supervised::name);
    if (started == apps->end()) continue;
    // What the site's env says itself stays.
    started->spec.environment.merge(MpsEnvironment(*daemon, stream));
    if (const auto why = WhyNoLimits(*daemon, stream)) {
      fmt::print(stderr, "stagger: {}: {}\n", stream.name, *why);
    }
  }
  return {};
}

}  // namespace stagger::cli
