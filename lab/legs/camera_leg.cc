#include "lab/legs/camera_leg.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "base/try.h"
#include "lab/legs/camera_group.h"
#include "launch/daemon_control.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr Duration kWarmupTimeout = std::chrono::seconds{60};
constexpr double kClipSeconds = 79;  // the default clip's length: cameras start at different places

Result<std::vector<CameraApp>> Apps(const LegPlan& plan, const LegTools& tools,
                                    const PrivateDaemon* daemon) {
  const std::string program = STAGGER_TRY(tools.installation.CameraDetector());
  std::vector<CameraApp> apps;
  for (int i = 0; i < plan.cameras; ++i) {
    CameraApp app;
    app.name = fmt::format("camera-{}", i + 1);
    app.path = program;
    app.arguments = CameraArguments(plan, i);
    if (daemon != nullptr) {
      const std::string agent = STAGGER_TRY(tools.installation.Agent());
      StreamSettings stream;
      stream.name = app.name;
      stream.fps = plan.fps;
      if (i == 0 && plan.tight) {
        stream.fps = plan.tight->fps;
        stream.deadline_ms = plan.tight->deadline_ms;
      }
      app.environment = AppEnvironment(agent, daemon->socket(), stream);
    }
    apps.push_back(std::move(app));
  }
  return apps;
}

// What only the daemon saw: bodies and how they overlapped.
void AddDaemonView(const documents::Status& status, Leg* leg) {
  if (!status.devices.empty()) {
    leg->overlap_ratio = status.devices.front().overlap_ratio;
    leg->concurrency = status.devices.front().concurrency;
  }
  // Pooled from per-stream figures: the mean is weighted, the median is the streams' middle one,
  // and the p99 the worst stream's.
  Distribution pooled;
  double weight = 0;
  std::vector<double> medians;
  for (const documents::Stream& stream : status.streams) {
    const documents::Summary& body = stream.body_ms;
    const auto done = static_cast<double>(stream.counters.done);
    if (!body.mean || done <= 0) continue;
    const double min = body.min.value_or(*body.mean);
    pooled.min = weight == 0 ? min : std::min(pooled.min, min);
    pooled.max = std::max(pooled.max, body.max.value_or(*body.mean));
    pooled.p99 = std::max(pooled.p99, body.p99.value_or(*body.mean));
    pooled.mean += *body.mean * done;
    medians.push_back(body.p50.value_or(*body.mean));
    weight += done;
  }
  if (weight <= 0) return;
  pooled.mean /= weight;
  pooled.p50 = *Median(medians);
  leg->body_ms = pooled;
}

Result<LegRun> Measure(const LegPlan& plan, const LegTools& tools, const ScratchDir& dir,
                       const PrivateDaemon* daemon) {
  CameraRun cameras{plan.name, STAGGER_TRY(Apps(plan, tools, daemon)), kWarmupTimeout, plan.seconds,
                    [] { return Result(std::string("now")); }};
  // Asks the daemon shortly before their time is up, while its streams still exist.
  const double look = std::max(plan.seconds - 0.3, plan.seconds * 0.9);
  std::optional<documents::Status> status;
  cameras.tick = [&](double elapsed) -> Result<void> {
    if (daemon != nullptr && !status && elapsed >= look) {
      status = STAGGER_TRY(AskStatus(daemon->socket()));
    }
    return {};
  };
  const std::vector<AppRecord> records = STAGGER_TRY(RunCameras(cameras, dir, tools));

  LegRun run;
  run.leg = Summarise({plan.name, plan.fps, plan.seconds}, records);
  run.leg.policy = plan.policy;
  if (status) AddDaemonView(*status, &run.leg);
  if (plan.tight) {
    run.leg.fps_required = *run.leg.fps_required - *plan.fps + plan.tight->fps;
    run.tight =
        Summarise({plan.name + ", tight", plan.tight->fps, plan.seconds}, {records.front()});
    run.tight->policy = plan.policy;
    run.tight->concurrency = run.leg.concurrency;
  }
  return run;
}

}  // namespace

std::vector<std::string> CameraArguments(const LegPlan& plan, int camera) {
  std::vector<std::string> arguments{"--quiet", "--work-ms", fmt::format("{}", plan.work_ms)};
  if (plan.seconds > 0) {
    arguments.insert(arguments.end(), {"--seconds", fmt::format("{}", plan.seconds)});
  }
  const double step = kClipSeconds / std::max(plan.cameras, 1);
  arguments.insert(arguments.end(), {"--offset", fmt::format("{:.1f}", step * camera)});
  if (plan.fps) {
    const double fps = camera == 0 && plan.tight ? plan.tight->fps : *plan.fps;
    arguments.insert(arguments.end(), {"--fps", fmt::format("{}", fps)});
  } else {
    arguments.push_back("--every-frame");
  }
  if (plan.tuned) arguments.push_back("--tuned");
  return arguments;
}

Result<LegRun> RunLeg(const LegPlan& plan, const LegTools& tools) {
  const DisturbanceWatch watch;
  ScratchDir dir = STAGGER_TRY(ScratchDir::Make(tools.keeper));

  std::optional<PrivateDaemon> daemon;
  if (plan.policy) {
    DaemonSpec spec;
    spec.socket = dir.File("daemon.sock");
    spec.policy = *plan.policy;
    if (plan.concurrency) spec.concurrency = std::to_string(*plan.concurrency);
    spec.err_file = dir.File("staggerd.err");
    daemon.emplace(STAGGER_TRY(PrivateDaemon::Start(tools.installation, spec, tools.keeper)));
  }
  Result<LegRun> run = Measure(plan, tools, dir, daemon ? &*daemon : nullptr);
  daemon.reset();
  if (!run) return Error{fmt::format("{}: {}", plan.name, run.error().message)};
  run->disturbance = watch.SoFar();
  return run;
}

}  // namespace stagger::cli
