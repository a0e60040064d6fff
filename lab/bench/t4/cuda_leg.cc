#include "lab/bench/t4/cuda_leg.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/try.h"
#include "lab/bench/t4/device_log.h"
#include "lab/legs/camera_group.h"
#include "lab/scenario/sim_legs.h"
#include "lab/sim/simulate.h"
#include "lab/vgpu/virtual_gpu.h"
#include "launch/daemon_control.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr Duration kWarmupTimeout = std::chrono::seconds{120};
// Between the word and the start: cameras look for it every 5 ms.
constexpr Duration kLead = std::chrono::milliseconds{200};
// What a hand-over costs in the simulator, as in the scenarios.
constexpr Duration kHandoff = std::chrono::microseconds{200};
// The part of the apps' work off the device that is really computed; the rest is slept, so that
// eight apps fit beside a daemon and a device on two cores.
constexpr double kBurn = 0.05;
constexpr int kKernels = 60;  // of a body

Environment EnvironmentOf(const CudaLegPlan& plan, const std::string& name,
                          const std::string& agents, const VirtualGpu& gpu,
                          const PrivateDaemon* daemon) {
  Environment environment = gpu.environment();
  if (plan.percentage > 0) {
    environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = std::to_string(plan.percentage);
  }
  if (daemon != nullptr) {
    StreamSettings stream;
    stream.name = name;
    stream.fps = plan.fps;
    environment.merge(AppEnvironment(agents, daemon->socket(), stream));
  }
  return environment;
}

Result<std::vector<CameraApp>> Apps(const CudaLegPlan& plan, const LegTools& tools,
                                    const VirtualGpu& gpu, const PrivateDaemon* daemon) {
  const std::string program = STAGGER_TRY(tools.installation.CudaCamera());
  const std::string agents = STAGGER_TRY(tools.installation.CudaAgents());
  std::vector<CameraApp> apps;
  for (std::size_t i = 0; i < plan.phases_ms.size(); ++i) {
    CameraApp app;
    app.name = fmt::format("camera-{}", i + 1);
    app.path = program;
    app.arguments = CudaCameraArguments(plan, i);
    app.summary_on_stdout = true;
    app.environment = EnvironmentOf(plan, app.name, agents, gpu, daemon);
    apps.push_back(std::move(app));
  }
  return apps;
}

Result<PrivateDaemon> StartDaemon(const CudaLegPlan& plan, const LegTools& tools,
                                  const ScratchDir& dir, const VirtualGpu& gpu) {
  DaemonSpec spec;
  spec.socket = dir.File("daemon.sock");
  spec.policy = *plan.policy;
  spec.spacing_ms = fmt::format("{}", plan.spacing_ms);
  spec.devices = "gpu:0";
  spec.environment = gpu.environment();
  spec.err_file = dir.File("staggerd.err");
  return PrivateDaemon::Start(tools.installation, spec, tools.keeper);
}

// Leases that ended so far; 0 without a daemon.
Result<std::int64_t> Expired(const PrivateDaemon* daemon) {
  if (daemon == nullptr) return std::int64_t{0};
  const documents::Status status = STAGGER_TRY(AskStatus(daemon->socket()));
  return static_cast<std::int64_t>(status.totals.counters.expired);
}

struct Counted {
  std::vector<AppRecord> records;
  TimePoint start;
  Duration warmup{};
  std::int64_t expired = 0;
};

Result<Counted> Count(const CudaLegPlan& plan, const LegTools& tools, const ScratchDir& dir,
                      const VirtualGpu& gpu, const PrivateDaemon* daemon) {
  Counted counted;
  const TimePoint begin = Now();
  std::int64_t expired_before = 0;
  const CameraRun cameras{plan.name, STAGGER_TRY(Apps(plan, tools, gpu, daemon)), kWarmupTimeout,
                          plan.seconds, [&]() -> Result<std::string> {
                            expired_before = STAGGER_TRY(Expired(daemon));
                            counted.start = Now() + kLead;
                            counted.warmup = counted.start - begin;
                            return std::to_string(counted.start.since_epoch.count());
                          }};
  counted.records = STAGGER_TRY(RunCameras(cameras, dir, tools));
  counted.expired = STAGGER_TRY(Expired(daemon)) - expired_before;
  return counted;
}

Result<Leg> SimulatedLeg(const CudaLegPlan& plan, const vgpu::Model& model) {
  const sim::Scenario scenario = ScenarioOf(plan, model);
  return SimLegs(scenario, STAGGER_TRY(sim::Simulate(scenario, /*seed=*/1, /*threads=*/1)))
      .front()
      .leg;
}

Result<LegRun> Measure(const CudaLegPlan& plan, const vgpu::Model& model, const LegTools& tools) {
  ScratchDir dir = STAGGER_TRY(ScratchDir::Make(tools.keeper));
  VirtualGpuSpec device;
  device.server.devices = {model};
  device.server.log = dir.File("device.jsonl");
  const DisturbanceWatch watch;
  VirtualGpu gpu = STAGGER_TRY(VirtualGpu::Start(tools.installation, device, tools.keeper));
  std::optional<PrivateDaemon> daemon;
  if (plan.policy) {
    daemon.emplace(STAGGER_TRY(StartDaemon(plan, tools, dir, gpu)));
  }
  const Result<Counted> counted = Count(plan, tools, dir, gpu, daemon ? &*daemon : nullptr);
  daemon.reset();
  const Result<vgpu::ServerReport> report = gpu.Stop();
  if (!counted) return counted.error();
  if (!report) return report.error();

  LegRun run;
  run.disturbance = watch.SoFar();
  run.lateness = DeviceLateness{report->lateness.Quantile(0.99),
                                report->lateness.ShareAbove(std::chrono::milliseconds{1})};
  run.warmup = counted->warmup;
  run.leg =
      Summarise({plan.name, plan.fps, plan.seconds, counted->start.since_epoch}, counted->records);
  run.leg.policy = plan.policy;
  if (plan.policy) {
    run.leg.concurrency = 1;
    run.expired = counted->expired;
  }
  std::ifstream log(device.server.log);
  const std::vector<DeviceBody> bodies = STAGGER_TRY(ReadBodies(log));
  const BodyMeasurements measurements =
      BodiesWithin(bodies, counted->start, counted->start + FromMs(plan.seconds * 1000), /*k=*/1);
  run.leg.body_ms = measurements.body_ms;
  run.leg.overlap_ratio = measurements.overlap_ratio;
  return run;
}

}  // namespace

sim::Scenario ScenarioOf(const CudaLegPlan& plan, const vgpu::Model& model) {
  sim::Scenario scenario;
  scenario.length = FromMs(plan.seconds * 1000);
  scenario.policy.name = plan.policy.value_or("off");
  scenario.policy.concurrency = 1;
  scenario.policy.spacing = FromMs(plan.spacing_ms);
  scenario.handoff = kHandoff;
  scenario.deadline_from = sim::DeadlineFrom::kArrival;
  scenario.devices = {model.contention};
  for (std::size_t i = 0; i < plan.phases_ms.size(); ++i) {
    sim::StreamModel stream;
    stream.name = fmt::format("camera-{}", i + 1);
    stream.group = "camera";
    if (plan.fps) {
      stream.period = FromMs(1000 / *plan.fps);
      stream.deadline = stream.period;
    }
    stream.phase = FromMs(plan.phases_ms[i]);
    // A body that may fill a part of the device only takes as much longer.
    if (plan.percentage > 0) stream.demand = plan.percentage / 100.0;
    stream.body = FromMs(plan.body_ms / stream.demand);
    stream.post = FromMs(plan.post_ms);
    stream.app = FromMs(plan.app_ms);
    scenario.streams.push_back(stream);
  }
  return scenario;
}

std::vector<std::string> CudaCameraArguments(const CudaLegPlan& plan, std::size_t app) {
  std::vector<std::string> arguments;
  const auto add = [&](const char* option, double value) {
    arguments.insert(arguments.end(), {option, fmt::format("{}", value)});
  };
  add("--fps", plan.fps.value_or(0));
  add("--phase", plan.phases_ms[app]);
  add("--seconds", plan.seconds);
  add("--warmup", plan.warmup);
  // All of pre and post is the device's, as in the model; there is no pre in it.
  add("--pre", 0);
  add("--body", plan.body_ms);
  add("--kernels", kKernels);
  add("--post", plan.post_ms);
  add("--post-cpu", 0);
  add("--app", plan.app_ms);
  add("--burn", kBurn);
  return arguments;
}

Result<LegRun> RunCudaLeg(const CudaLegPlan& plan, const vgpu::Model& model,
                          const LegTools& tools) {
  Result<LegRun> run = Measure(plan, model, tools);
  if (!run) return Error{fmt::format("{}: {}", plan.name, run.error().message)};
  Result<Leg> simulated = SimulatedLeg(plan, model);
  if (!simulated) {
    return Error{fmt::format("{}, simulated: {}", plan.name, simulated.error().message)};
  }
  run->simulated = std::move(simulated).value();
  return run;
}

}  // namespace stagger::cli
