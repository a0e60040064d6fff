// stagger demo: the paper's experiment on this machine, with real video and a real detector.
#include "lab/demo/demo.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "base/try.h"
#include "console/arguments.h"
#include "console/sentences.h"
#include "lab/legs/camera_leg.h"
#include "lab/legs/leg_run.h"
#include "lab/legs/progress_line.h"
#include "launch/daemon_control.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"
#include "site/supervisor.h"

namespace stagger::cli {
namespace {

constexpr double kMeasureSeconds = 3;
const std::vector<std::string> kLegs{"alone", "uncontrolled", "tuned", "cooperative", "controlled"};

struct Settings {
  std::optional<int> cameras;
  std::optional<double> fps;
  double seconds = 15;
  double work_ms = 8;
  std::string legs = "default";
  bool serve = false;
  bool as_json = false;
};

LegPlan PlanOf(const std::string& name, const Settings& settings, const DemoSize& size) {
  LegPlan plan;
  plan.name = name;
  plan.cameras = name == "alone" ? 1 : size.cameras;
  plan.fps = size.fps;
  plan.seconds = settings.seconds;
  plan.work_ms = settings.work_ms;
  plan.tuned = name == "tuned";
  if (name == "controlled") plan.policy = "fifo";
  if (name == "cooperative") plan.policy = "off";
  return plan;
}

Result<LegRun> RunShown(const LegPlan& plan, const std::string& label, LegTools tools,
                        ProgressLine& line) {
  if (line.live()) {
    line.Update(fmt::format("{}: starting {} camera(s)", label, plan.cameras));
    tools.progress = [&](const Progress& progress) {
      line.Update(fmt::format("{}: {:.0f}/{:g} s, {} frames", label, progress.elapsed,
                              progress.seconds, progress.frames));
    };
  }
  Result<LegRun> run = RunLeg(plan, tools);
  if (!run) return run;
  line.Finish(fmt::format(
      "{}: {:.1f} fps{}", label, run->leg.fps.value_or(0),
      run->leg.drop_ratio ? fmt::format(", {:.1f} % dropped", *run->leg.drop_ratio * 100) : ""));
  return run;
}

Result<DemoReport> Measure(const Settings& settings, const std::vector<std::string>& names,
                           const LegTools& tools) {
  ProgressLine line;
  LegPlan alone;
  alone.name = "one app alone";
  alone.seconds = kMeasureSeconds;
  alone.work_ms = settings.work_ms;
  const LegRun measured =
      STAGGER_TRY(RunShown(alone, "one app alone, as fast as it can", tools, line));

  DemoReport report;
  report.device = DescribeCpu();
  report.alone_fps = measured.leg.fps.value_or(0);
  if (report.alone_fps <= 0)
    return Error{"one app alone finished no frame: is this machine overloaded?"};
  const DemoSize size = SizeDemo(report.alone_fps, Cores(), settings.cameras, settings.fps);
  report.cameras = size.cameras;
  report.fps = size.fps;
  report.seconds = settings.seconds;
  report.work_ms = settings.work_ms;
  double foreign = 0;
  double stolen = 0;
  for (const std::string& name : names) {
    LegRun run = STAGGER_TRY(RunShown(PlanOf(name, settings, size), name, tools, line));
    if (run.disturbance.disturbed()) {
      foreign = std::max(foreign, run.disturbance.foreign_ratio);
      stolen = std::max(stolen, run.disturbance.stolen_ratio);
    }
    report.legs.push_back(std::move(run.leg));
  }
  if (foreign > 0 || stolen > 0) {
    report.disturbed = fmt::format(
        "other programs used up to {:.0f} % of the machine, its host kept back up to {:.0f} %",
        foreign * 100, stolen * 100);
  }
  return report;
}

// The controlled cameras once more, without an end, to be watched.
Result<void> Serve(const Settings& settings, const DemoReport& report, const LegTools& tools) {
  const ScratchDir dir = STAGGER_TRY(ScratchDir::Make(tools.keeper));
  DaemonSpec spec;
  spec.socket = dir.File("daemon.sock");
  spec.http = "127.0.0.1:7878";
  Result<PrivateDaemon> daemon = PrivateDaemon::Start(tools.installation, spec, tools.keeper);
  if (!daemon) {  // most likely somebody has that port: any other will do
    spec.http = "127.0.0.1:0";
    daemon = PrivateDaemon::Start(tools.installation, spec, tools.keeper);
  }
  if (!daemon) return daemon.error();
  const std::string agent = STAGGER_TRY(tools.installation.Agent());
  const std::string program = STAGGER_TRY(tools.installation.CameraDetector());

  LegPlan plan = PlanOf("controlled", settings, {report.cameras, report.fps});
  plan.seconds = 0;
  std::vector<Supervised> cameras;
  for (int i = 0; i < plan.cameras; ++i) {
    Supervised camera;
    camera.name = fmt::format("camera-{}", i + 1);
    camera.spec.path = program;
    camera.spec.argv = CameraArguments(plan, i);
    camera.spec.argv.insert(camera.spec.argv.begin(), "camera-detector");
    camera.spec.argv.insert(camera.spec.argv.end(), {"--http", "0", "--json-out", "/dev/null"});
    camera.spec.pipe_output = true;
    camera.spec.environment =
        AppEnvironment(agent, spec.socket, {.name = camera.name, .fps = plan.fps});
    cameras.push_back(std::move(camera));
  }
  const Result<documents::Status> status = AskStatus(spec.socket);
  const std::string address = status ? status->http.value_or(spec.http) : spec.http;
  fmt::print(stderr,
             "\nstagger: watch at http://{}/ (Ctrl-C stops everything); also: stagger status "
             "--socket {}\n\n",
             address, spec.socket);
  return Supervisor(std::move(cameras), tools.keeper, tools.stop).Run(&daemon->process());
}

int Run(const Settings& settings, const std::vector<std::string>& names) {
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const LegTools tools{place->installation, place->keeper, place->stop, {}};
  const Result<DemoReport> report = Measure(settings, names, tools);
  if (!report) {
    PrintError("demo: " + report.error().message);
    return place->stop.Raised() ? kExitInterrupted : kExitFailed;
  }
  if (settings.as_json) {
    fmt::print("{}\n", ToJson(*report).dump(2));
  } else {
    fmt::print("\n{}", ToText(*report));
  }
  std::fflush(stdout);
  if (!settings.serve) return kExitOk;
  if (const Result<void> served = Serve(settings, *report, tools); !served) {
    PrintError("demo: " + served.error().message);
    return kExitFailed;
  }
  return kExitOk;
}

}  // namespace

int DemoVerb(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "The paper's experiment on this machine: several camera apps, uncontrolled and then under "
      "control, "
      "with real video and a real detector. All cameras of a leg start at once.",
      "stagger demo"};
  app.add_option("--cameras", settings.cameras,
                 "apps of a contended leg (default: 3 per core, 4 to 16)")
      ->check(CLI::Range(1, 64));
  app.add_option(
         "--fps", settings.fps,
         "each camera's rate (default: from a short measurement of one app alone, so that the "
         "machine is contended)")
      ->check(CheckPositive);
  app.add_option("--seconds", settings.seconds, "how long each leg runs")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  app.add_option("--work-ms", settings.work_ms, "CPU time per frame after its inference")
      ->check(CheckNotNegative)
      ->capture_default_str();
  app.add_option("--legs", settings.legs,
                 "default (alone, uncontrolled, controlled), all, or names separated by commas: " +
                     Join(kLegs, ", "))
      ->capture_default_str();
  app.add_flag("--serve", settings.serve,
               "afterwards keep the controlled cameras running, to be watched");
  app.add_flag("--json", settings.as_json, "one JSON object instead of the table");
  app.footer("exit code 130: stopped by Ctrl-C before the table was done");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  const Result<std::vector<std::string>> names = ChooseLegs(
      settings.legs == "default" ? "alone,uncontrolled,controlled" : settings.legs, kLegs);
  if (!names) {
    PrintError("demo: " + names.error().message);
    return kExitUsage;
  }
  return Run(settings, *names);
}

}  // namespace stagger::cli
