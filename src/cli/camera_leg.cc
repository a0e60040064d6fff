#include "cli/camera_leg.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <vector>

#include "base/clock.h"
#include "cli/child_process.h"
#include "cli/daemon_control.h"
#include "cli/private_daemon.h"
#include "cli/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr Duration kWarmupTimeout = std::chrono::seconds{60};
constexpr Duration kStopGrace = std::chrono::seconds{2};
constexpr double kOverrun = 30;      // seconds a camera may take beyond its time
constexpr double kClipSeconds = 79;  // the default clip's length: cameras start at different places

struct Camera {
  std::string name;
  ChildProcess process;
};

std::string CameraName(int camera) { return fmt::format("camera-{}", camera + 1); }

Result<std::vector<Camera>> StartCameras(const LegPlan& plan, const LegTools& tools,
                                         const ScratchDir& dir, const PrivateDaemon* daemon) {
  const Result<std::string> program = tools.installation.CameraDetector();
  if (!program) return program.error();
  std::vector<Camera> cameras;
  for (int i = 0; i < plan.cameras; ++i) {
    const std::string name = CameraName(i);
    ChildSpec spec;
    spec.path = *program;
    spec.argv = CameraArguments(plan, i);
    spec.argv.insert(spec.argv.begin(), "camera-detector");
    for (const auto& [flag, suffix] :
         {std::pair{"--samples", ".csv"}, std::pair{"--ready-file", ".ready"},
          std::pair{"--json-out", ".json"}}) {
      spec.argv.insert(spec.argv.end(), {flag, dir.File(name + suffix)});
    }
    spec.argv.insert(spec.argv.end(), {"--wait-for", dir.File("go")});
    spec.err_file = dir.File(name + ".err");
    spec.out_file = dir.File(name + ".out");
    if (daemon != nullptr) {
      const Result<std::string> agent = tools.installation.Agents();
      if (!agent) return agent.error();
      StreamSettings stream;
      stream.name = name;
      stream.fps = plan.fps;
      if (i == 0 && plan.tight) {
        stream.fps = plan.tight->fps;
        stream.deadline_ms = plan.tight->deadline_ms;
      }
      spec.environment = AppEnvironment(*agent, daemon->socket(), stream);
    }
    Result<ChildProcess> process = ChildProcess::Start(spec, tools.keeper);
    if (!process) return process.error();
    cameras.push_back({name, std::move(process).value()});
  }
  return cameras;
}

Error CameraFailed(const Camera& camera, const ExitStatus& status, const ScratchDir& dir) {
  return Error{fmt::format("{} ended early ({}): {}", camera.name, ToString(status),
                           LastLine(dir.File(camera.name + ".err")))};
}

const Error kInterrupted{"interrupted"};

// All cameras have their model warm and wait for the start.
Result<void> AwaitReady(std::vector<Camera>& cameras, const ScratchDir& dir, StopSignal& stop) {
  const TimePoint deadline = Now() + kWarmupTimeout;
  for (Camera& camera : cameras) {
    while (access(dir.File(camera.name + ".ready").c_str(), F_OK) != 0) {
      if (const auto status = camera.process.Poll()) return CameraFailed(camera, *status, dir);
      if (Now() > deadline) {
        return Error{fmt::format("{} was not ready within 60 s", camera.name)};
      }
      if (stop.WaitFor(std::chrono::milliseconds{20})) return kInterrupted;
    }
  }
  return {};
}

// Counts lines as they are appended, without reading a file twice.
class LineCounter {
 public:
  explicit LineCounter(const std::string& path) : file_(path) {}
  std::size_t Count() {
    file_.clear();
    char buffer[4096];
    while (file_.read(buffer, sizeof buffer), file_.gcount() > 0) {
      lines_ += static_cast<std::size_t>(std::count(buffer, buffer + file_.gcount(), '\n'));
    }
    return lines_ > 0 ? lines_ - 1 : 0;  // the header
  }

 private:
  std::ifstream file_;
  std::size_t lines_ = 0;
};

// Lets them run; asks the daemon shortly before their time is up, while its streams still exist.
Result<nlohmann::json> Attend(const LegPlan& plan, const LegTools& tools,
                              std::vector<Camera>& cameras, const ScratchDir& dir,
                              const PrivateDaemon* daemon) {
  std::vector<LineCounter> counters;
  if (tools.progress) {
    for (const Camera& camera : cameras) counters.emplace_back(dir.File(camera.name + ".csv"));
  }
  const TimePoint start = Now();
  const TimePoint look = start + FromMs(std::max(plan.seconds * 1000 - 300, plan.seconds * 900));
  nlohmann::json status;
  for (bool running = true; running;) {
    if (tools.stop.WaitFor(std::chrono::milliseconds{100})) return kInterrupted;
    const double elapsed = ToMs(Now() - start) / 1000;
    if (elapsed > plan.seconds + kOverrun) {
      return Error{fmt::format("cameras still ran {:.0f} s after their time was up", kOverrun)};
    }
    if (daemon != nullptr && status.is_null() && Now() >= look) {
      Result<nlohmann::json> answer = AskDaemon(daemon->socket(), "status");
      if (!answer) return answer.error();
      status = std::move(answer).value();
    }
    if (tools.progress) {
      Progress progress{std::min(elapsed, plan.seconds), 0};
      for (LineCounter& counter : counters) progress.frames += counter.Count();
      tools.progress(plan, progress);
    }
    running = false;
    for (Camera& camera : cameras) {
      const std::optional<ExitStatus> ended = camera.process.Poll();
      if (ended && !ended->ok()) return CameraFailed(camera, *ended, dir);
      running = running || !ended;
    }
  }
  return status;
}

Result<AppRecord> ReadRecord(const std::string& name, const ScratchDir& dir) {
  AppRecord record;
  std::ifstream summary(dir.File(name + ".json"));
  const nlohmann::json json = nlohmann::json::parse(summary, nullptr, /*allow_exceptions=*/false);
  const auto count = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_number_integer()
               ? json[key].get<std::int64_t>()
               : -1;
  };
  record.frames = count("frames");
  record.done = count("done");
  if (record.frames < 0 || record.done < 0) {
    return Error{fmt::format("{} left no summary to read", name)};
  }
  std::ifstream samples(dir.File(name + ".csv"));
  for (std::string line; std::getline(samples, line);) {
    if (const std::optional<Sample> sample = ParseSample(line)) record.samples.push_back(*sample);
  }
  return record;
}

std::optional<double> NumberAt(const nlohmann::json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number()) return std::nullopt;
  return object[key].get<double>();
}

// What only the daemon saw: bodies and how they overlapped.
void AddDaemonView(const nlohmann::json& status, Leg* leg) {
  if (!status.is_object()) return;
  if (status.contains("devices") && status["devices"].is_array() && !status["devices"].empty()) {
    const nlohmann::json& device = status["devices"][0];
    leg->overlap_ratio = NumberAt(device, "overlap_ratio");
    if (const auto k = NumberAt(device, "concurrency")) leg->concurrency = static_cast<int>(*k);
  }
  if (!status.contains("streams") || !status["streams"].is_array()) return;
  // Pooled from per-stream figures: the mean is weighted, the median is the streams' middle one,
  // and the p99 the worst stream's.
  Distribution pooled;
  double weight = 0;
  std::vector<double> medians;
  for (const nlohmann::json& stream : status["streams"]) {
    if (!stream.is_object() || !stream.contains("body_ms")) continue;
    const nlohmann::json& body = stream["body_ms"];
    const auto mean = NumberAt(body, "mean");
    const double done = NumberAt(stream, "done").value_or(0);
    if (!mean || done <= 0) continue;
    const double min = NumberAt(body, "min").value_or(*mean);
    pooled.min = weight == 0 ? min : std::min(pooled.min, min);
    pooled.max = std::max(pooled.max, NumberAt(body, "max").value_or(*mean));
    pooled.p99 = std::max(pooled.p99, NumberAt(body, "p99").value_or(*mean));
    pooled.mean += *mean * done;
    medians.push_back(NumberAt(body, "p50").value_or(*mean));
    weight += done;
  }
  if (weight <= 0) return;
  pooled.mean /= weight;
  pooled.p50 = *Median(medians);
  leg->body_ms = pooled;
}

Result<LegRun> Measure(const LegPlan& plan, const LegTools& tools, const ScratchDir& dir,
                       PrivateDaemon* daemon) {
  Result<std::vector<Camera>> started = StartCameras(plan, tools, dir, daemon);
  if (!started) return started.error();
  std::vector<Camera>& cameras = *started;

  Result<nlohmann::json> status = nlohmann::json();
  if (const Result<void> ready = AwaitReady(cameras, dir, tools.stop); !ready) {
    status = ready.error();
  } else {
    const std::ofstream go(dir.File("go"));
    status = Attend(plan, tools, cameras, dir, daemon);
  }
  std::vector<ChildProcess*> processes;
  processes.reserve(cameras.size());
  for (Camera& camera : cameras) processes.push_back(&camera.process);
  StopAll(processes, kStopGrace);
  if (!status) return status.error();

  std::vector<AppRecord> records;
  for (const Camera& camera : cameras) {
    Result<AppRecord> record = ReadRecord(camera.name, dir);
    if (!record) return record.error();
    records.push_back(std::move(record).value());
  }
  LegRun run;
  run.leg = Summarise({plan.name, plan.fps, plan.seconds}, records);
  run.leg.policy = plan.policy;
  AddDaemonView(*status, &run.leg);
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
  const std::optional<MachineTime> before = ReadMachineTime();
  const Duration own_before = OwnCpuTime();
  Result<ScratchDir> dir = ScratchDir::Make(tools.keeper);
  if (!dir) return dir.error();

  std::optional<PrivateDaemon> daemon;
  if (plan.policy) {
    DaemonSpec spec;
    spec.socket = dir->File("daemon.sock");
    spec.policy = *plan.policy;
    if (plan.concurrency) spec.concurrency = std::to_string(*plan.concurrency);
    spec.err_file = dir->File("staggerd.err");
    Result<PrivateDaemon> started = PrivateDaemon::Start(tools.installation, spec, tools.keeper);
    if (!started) return started.error();
    daemon.emplace(std::move(started).value());
  }
  Result<LegRun> run = Measure(plan, tools, *dir, daemon ? &*daemon : nullptr);
  daemon.reset();
  if (!run) return Error{fmt::format("{}: {}", plan.name, run.error().message)};
  const std::optional<MachineTime> after = ReadMachineTime();
  if (before && after) {
    run->disturbance = DisturbanceBetween(*before, *after, OwnCpuTime() - own_before);
  }
  return run;
}

}  // namespace stagger::cli
