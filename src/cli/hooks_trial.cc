#include "cli/hooks_trial.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/clock.h"
#include "cli/child_process.h"
#include "cli/daemon_control.h"
#include "cli/device_log.h"
#include "cli/gate_clients.h"
#include "cli/private_daemon.h"
#include "cli/scratch_dir.h"
#include "cli/turn_relay.h"
#include "cli/virtual_gpu.h"

namespace stagger::cli {
namespace {

constexpr int kLearning = 40;  // inferences after which the agent knows an app
constexpr Duration kPatience = std::chrono::seconds{60};
constexpr Duration kStopGrace = std::chrono::seconds{2};
constexpr Duration kBetweenPingPongs = std::chrono::milliseconds{5};
constexpr Duration kBetweenLooks = std::chrono::milliseconds{100};

const Error kInterrupted{"interrupted"};

// A virtual GPU and a daemon that shares it out.
struct Site {
  ScratchDir dir;
  std::optional<VirtualGpu> gpu;
  std::optional<PrivateDaemon> daemon;

  static Result<Site> Open(Workplace& place, bool with_daemon, bool with_log);
};

Result<Site> Site::Open(Workplace& place, bool with_daemon, bool with_log) {
  Result<ScratchDir> dir = ScratchDir::Make(place.keeper);
  if (!dir) return dir.error();
  Site site{std::move(dir).value(), {}, {}};
  VirtualGpuSpec gpu;
  const auto model = vgpu::BuiltInModel("t4");
  if (!model) return Error{"there is no model of a T4"};
  gpu.server.devices = {*model};
  if (with_log) gpu.server.log = site.dir.File("device.jsonl");
  Result<VirtualGpu> started = VirtualGpu::Start(place.installation, gpu, place.keeper);
  if (!started) return started.error();
  site.gpu.emplace(std::move(started).value());
  if (!with_daemon) return site;
  DaemonSpec spec;
  spec.socket = site.dir.File("daemon.sock");
  spec.policy = "fifo";
  spec.devices = "gpu:0";
  spec.concurrency = "1";
  spec.err_file = site.dir.File("staggerd.err");
  spec.environment = site.gpu->environment();
  Result<PrivateDaemon> daemon = PrivateDaemon::Start(place.installation, spec, place.keeper);
  if (!daemon) return daemon.error();
  site.daemon.emplace(std::move(daemon).value());
  return site;
}

Result<void> Await(std::vector<ChildProcess>& apps, StopSignal& stop, const ScratchDir& dir,
                   const std::function<void()>& meanwhile) {
  const TimePoint deadline = Now() + kPatience;
  for (bool running = true; running;) {
    if (stop.WaitFor(kBetweenPingPongs)) return kInterrupted;
    if (Now() > deadline) return Error{"an app did not end within 60 s"};
    meanwhile();
    running = false;
    for (std::size_t i = 0; i < apps.size(); ++i) {
      const std::optional<ExitStatus> ended = apps[i].Poll();
      if (ended && !ended->ok()) {
        return Error{fmt::format("an app ended early ({}): {}", ToString(*ended),
                                 LastLine(dir.File(fmt::format("app-{}.err", i + 1))))};
      }
      running = running || !ended;
    }
  }
  return {};
}

// CPU time of the agent's own threads in a process; nullopt when it has none, or has ended.
std::optional<Duration> ThreadsTime(pid_t pid) {
  std::error_code failure;
  std::optional<Duration> total;
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), failure)) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    std::int64_t ran_ns = 0;
    if (name.rfind("stagger-", 0) != 0 || !(std::ifstream(task.path() / "schedstat") >> ran_ns)) {
      continue;
    }
    total = total.value_or(Duration{}) + Duration{ran_ns};
  }
  return total;
}

// Readings of CPU time between which a share is taken.
class Share {
 public:
  void Add(Duration used) {
    last_ = {Now(), used};
    if (!first_) first_ = last_;
  }
  std::optional<double> OfACore() const {
    if (!first_ || last_->first - first_->first < kBetweenLooks) return std::nullopt;
    return ToMs(last_->second - first_->second) / ToMs(last_->first - first_->first);
  }

 private:
  using Reading = std::pair<TimePoint, Duration>;
  std::optional<Reading> first_;
  std::optional<Reading> last_;
};

Result<std::vector<Sample>> SamplesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<Sample> samples;
  for (std::string line; std::getline(file, line);) {
    if (const std::optional<Sample> sample = ParseSample(line)) samples.push_back(*sample);
  }
  if (samples.size() <= static_cast<std::size_t>(kLearning) + 1) {
    return Error{fmt::format("an app did {} inferences only; the agent learns {}: more --seconds",
                             samples.size(), kLearning)};
  }
  samples.erase(samples.begin(), samples.begin() + kLearning);
  return samples;
}

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

ChildSpec AppSpec(const GpuLegPlan& plan, const std::string& path, const Site& site, int app) {
  const std::string name = fmt::format("app-{}", app + 1);
  ChildSpec spec;
  spec.path = path;
  // The agent has to know it first. Counted, not timed: a busy machine only makes it longer.
  const double frame_ms = plan.apps * (plan.body_ms + 2);
  const int frames = kLearning + static_cast<int>(std::ceil(plan.seconds * 1000 / frame_ms)) + 1;
  // The wait between two bodies is short, so that of two apps one always waits for the other.
  spec.argv = {"cuda-camera",
               fmt::format("--frames={}", frames),
               "--pre=0",
               "--post=1",
               "--post-cpu=0.1",
               "--post-steps=1",
               fmt::format("--body={}", plan.body_ms),
               fmt::format("--kernels={}", plan.kernels),
               "--samples=" + site.dir.File(name + ".csv")};
  if (plan.by_hand) {
    spec.argv.push_back("--pass-by=" + site.dir.File("relay.sock"));
    spec.argv.push_back("--truth=" + site.dir.File(name + ".truth"));
  }
  spec.environment = site.gpu->environment();
  spec.out_file = site.dir.File(name + ".out");
  spec.err_file = site.dir.File(name + ".err");
  return spec;
}

}  // namespace

Result<CallRun> RunCalls(Workplace& place, int blocks) {
  const Result<std::string> folder = place.installation.NullDriver();
  if (!folder) return folder.error();
  const Result<std::string> agents = place.installation.CudaAgents();
  if (!agents) return agents.error();
  const DisturbanceWatch watched;
  Result<Site> site = Site::Open(place, true, false);
  if (!site) return site.error();
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
  if (const auto ended = Await(apps, place.stop, site->dir, [] {}); !ended) return ended.error();

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
  site->daemon.reset();
  if (const auto stopped = site->gpu->Stop(); !stopped) return stopped.error();
  CallRun run;
  run.clock_ns = said.value("clock_ns", 0.0);
  for (const nlohmann::json& call : said.at("calls")) {
    run.calls.push_back(
        {call.value("call", ""), call.value("bare_ns", 0.0), call.value("added_ns", 0.0)});
  }
  run.disturbance = watched.SoFar();
  return run;
}

Result<GpuLegRun> RunGpuLeg(const GpuLegPlan& plan, Workplace& place) {
  const Result<std::string> program = place.installation.CudaCamera();
  if (!program) return program.error();
  const Result<std::string> agents = place.installation.CudaAgents();
  if (!agents) return agents.error();
  const DisturbanceWatch watched;
  Result<Site> site = Site::Open(place, plan.controlled, true);
  if (!site) return site.error();
  std::optional<Partner> echo;
  if (plan.apps > 1) {
    Result<Partner> started = Partner::Start(Role::kEcho, "");
    if (!started) return started.error();
    echo.emplace(std::move(started).value());
  }
  std::optional<TurnRelay> relay;
  if (plan.by_hand) {
    Result<TurnRelay> started = TurnRelay::Start(site->dir.File("relay.sock"));
    if (!started) return started.error();
    relay.emplace(std::move(started).value());
  }
  std::vector<ChildProcess> apps;
  for (int i = 0; i < plan.apps; ++i) {
    ChildSpec spec = AppSpec(plan, *program, *site, i);
    if (plan.controlled) {
      spec.environment.merge(
          AppEnvironment(*agents, site->daemon->socket(), {fmt::format("app-{}", i + 1)}));
      if (plan.apps > 1) spec.environment["STAGGER_TURNS"] = site->dir.File("turns.jsonl");
    }
    Result<ChildProcess> app = ChildProcess::Start(spec, place.keeper);
    if (!app) return app.error();
    apps.push_back(std::move(app).value());
  }

  GpuLegRun run;
  Share threads;
  Share all;
  TimePoint look = Now() + std::chrono::milliseconds{500};
  const auto meanwhile = [&] {
    if (echo) {
      const TimePoint start = Now();
      if (echo->PingPong()) run.ping_pong_us.push_back(ToMs(Now() - start) * 1000);
    }
    if (!plan.controlled || Now() < look) return;
    look = Now() + kBetweenLooks;
    Duration used{};
    for (const ChildProcess& app : apps) {
      const std::optional<Duration> time = ThreadsTime(app.pid());
      if (!time) return;
      used += *time;
    }
    threads.Add(used);
    all.Add(used + ProcessCpuTime(site->daemon->process().pid()).value_or(Duration{}));
  };
  if (const auto ended = Await(apps, place.stop, site->dir, meanwhile); !ended) {
    return Error{fmt::format("{}: {}", plan.name, ended.error().message)};
  }
  echo.reset();
  site->daemon.reset();
  if (const auto stopped = site->gpu->Stop(); !stopped) return stopped.error();
  run.disturbance = watched.SoFar();

  run.threads_share = threads.OfACore();
  run.agent_share = all.OfACore();
  std::vector<double> inference_ms;
  double seconds = 0;
  for (int i = 0; i < plan.apps; ++i) {
    const auto samples = SamplesOf(site->dir.File(fmt::format("app-{}.csv", i + 1)));
    if (!samples) return samples.error();
    for (const Sample& sample : *samples) inference_ms.push_back(ToMs(sample.end - sample.start));
    seconds = std::max(seconds, ToMs(samples->back().result - samples->front().start) / 1000);
  }
  run.leg.name = plan.name;
  run.leg.apps = plan.apps;
  if (plan.controlled) {
    run.leg.policy = "fifo";
    run.leg.concurrency = 1;
  }
  run.leg.done = static_cast<double>(inference_ms.size());
  run.leg.fps = *run.leg.done / seconds;
  run.leg.inference_ms = Describe(inference_ms);

  std::ifstream log(site->dir.File("device.jsonl"));
  const Result<std::vector<DeviceBody>> read = ReadBodies(log);
  if (!read) return read.error();
  const std::vector<DeviceBody>& bodies = *read;
  const auto us = [](Duration d) { return ToMs(d) * 1000; };
  if (plan.apps > 1) {
    for (const HandOver& hand_over : HandOvers(bodies, kLearning)) {
      run.gaps_us.push_back(us(hand_over.gap));
      run.bodies_us.push_back(us(hand_over.body));
    }
    std::vector<TurnTimes> turns;
    if (plan.by_hand) {
      for (int i = 0; i < plan.apps; ++i) {
        std::ifstream truth(site->dir.File(fmt::format("app-{}.truth", i + 1)));
        std::ranges::copy(ReadTruth(truth, i), std::back_inserter(turns));
      }
    } else {
      std::ifstream file(site->dir.File("turns.jsonl"));
      turns = ReadTurns(file);
    }
    for (const Duration release : Releases(std::move(turns), kLearning)) {
      run.releases_us.push_back(us(release));
    }
  } else {
    for (std::size_t i = kLearning; i < bodies.size(); ++i) {
      if (bodies[i].next == kNever) continue;
      run.own_gaps_us.push_back(us(bodies[i].next - bodies[i].end));
      run.bodies_us.push_back(us(bodies[i].end - bodies[i].begin));
    }
  }
  return run;
}

}  // namespace stagger::cli
