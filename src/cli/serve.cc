#include "cli/serve.h"

#include <fmt/core.h>

#include <vector>

#include "cli/child_process.h"
#include "cli/daemon_control.h"
#include "cli/private_daemon.h"
#include "cli/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds{2};

}  // namespace

Result<void> Serve(const LegPlan& plan, const LegTools& tools) {
  const Result<std::string> program = tools.installation.CameraDetector();
  if (!program) return program.error();
  const Result<std::string> agent = tools.installation.Agent();
  if (!agent) return agent.error();
  Result<ScratchDir> dir = ScratchDir::Make(tools.keeper);
  if (!dir) return dir.error();

  DaemonSpec spec;
  spec.socket = dir->File("daemon.sock");
  spec.policy = plan.policy.value_or("fifo");
  spec.http = "127.0.0.1:7878";  // another free port if that one is taken
  spec.err_file = dir->File("staggerd.err");
  Result<PrivateDaemon> daemon = PrivateDaemon::Start(tools.installation, spec, tools.keeper);
  if (!daemon) return daemon.error();

  std::vector<ChildProcess> cameras;
  for (int i = 0; i < plan.cameras; ++i) {
    StreamSettings stream;
    stream.name = fmt::format("camera-{}", i + 1);
    stream.fps = plan.fps;
    ChildSpec camera;
    camera.path = *program;
    camera.argv = {"camera-detector", "--quiet",
                   "--http",          "0",
                   "--offset",        fmt::format("{}", 79.0 / plan.cameras * i),
                   "--work-ms",       fmt::format("{}", plan.work_ms)};
    if (plan.fps) camera.argv.insert(camera.argv.end(), {"--fps", fmt::format("{}", *plan.fps)});
    camera.environment = AppEnvironment(*agent, daemon->socket(), stream);
    camera.out_file = dir->File(stream.name + ".out");
    camera.err_file = dir->File(stream.name + ".err");
    Result<ChildProcess> process = ChildProcess::Start(camera, tools.keeper);
    if (!process) return process.error();
    cameras.push_back(std::move(process).value());
  }

  Result<nlohmann::json> status = AskDaemon(daemon->socket(), "status");
  const std::string http =
      status && status->contains("http") && (*status)["http"].is_string() ? (*status)["http"] : "";
  fmt::print(stderr, "\nserving {} cameras: http://{}/\n", plan.cameras, http);
  fmt::print(stderr, "in another terminal: stagger status --socket {}\nCtrl-C stops everything\n",
             daemon->socket());

  Result<void> outcome;
  while (!tools.stop.WaitFor(std::chrono::milliseconds{500})) {
    if (const auto ended = daemon->process().Poll()) {
      outcome = Error{fmt::format("the daemon ended ({}): {}", ToString(*ended),
                                  LastLine(dir->File("staggerd.err")))};
      break;
    }
    for (std::size_t i = 0; i < cameras.size(); ++i) {
      const auto ended = cameras[i].Poll();
      if (!ended) continue;
      outcome = Error{fmt::format("camera-{} ended ({}): {}", i + 1, ToString(*ended),
                                  LastLine(dir->File(fmt::format("camera-{}.err", i + 1))))};
    }
    if (!outcome) break;
  }
  std::vector<ChildProcess*> processes;
  for (ChildProcess& camera : cameras) processes.push_back(&camera);
  StopAll(processes, kStopGrace);
  return outcome;
}

}  // namespace stagger::cli
