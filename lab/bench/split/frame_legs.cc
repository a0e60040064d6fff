#include "lab/bench/split/frame_legs.h"

#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/clock.h"
#include "base/try.h"
#include "lab/bench/bench_frame.h"
#include "launch/private_daemon.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds{60};
constexpr double kTolerance = 1e-5;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<double> PssOf(pid_t pid) {
  std::istringstream rollup(ReadText(fmt::format("/proc/{}/smaps_rollup", pid)));
  for (std::string line; std::getline(rollup, line);) {
    if (line.rfind("Pss:", 0) == 0) return std::stod(line.substr(4)) * 1024;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<RunnerReport>> FramePlan::Run(
    Workplace& place, const std::function<Result<void>(FrameLeg&)>& meanwhile) const {
  FrameLeg leg(place, STAGGER_TRY(ScratchDir::Make(place.keeper)));
  for (const int core : executors) {
    if (const auto started = leg.StartExecutor(core, max_batch); !started) return started.error();
  }
  for (const RunnerSpec& runner : runners) {
    if (const auto started = leg.StartRunner(runner); !started) return started.error();
  }
  if (meanwhile) {
    if (const auto ready = leg.AwaitReady(); !ready) return ready.error();
    if (const auto done = meanwhile(leg); !done) return done.error();
  }
  return leg.Finish();
}

Result<void> FrameLeg::StartExecutor(int core, int max_batch) {
  const std::string program = STAGGER_TRY(place_->installation.Executor());
  const std::string device = fmt::format("cpu:{}", core);
  const std::string socket = dir_.File(device);
  ChildSpec spec;
  spec.path = program;
  spec.argv = {"stagger-executor", "--device", device, "--socket", socket};
  if (max_batch > 0) {
    spec.argv.insert(spec.argv.end(), {"--max-batch", std::to_string(max_batch)});
  }
  spec.out_file = "/dev/null";
  spec.err_file = dir_.File(device + ".err");
  executors_.push_back(STAGGER_TRY(ChildProcess::Start(spec, place_->keeper)));
  sockets_.push_back(socket);
  const TimePoint deadline = Now() + kPatience;
  while (!wire::Connect(socket)) {
    if (executors_.back().Poll() || Now() > deadline || place_->stop.Raised()) {
      return Error{"the executor did not start: " + LastLine(spec.err_file)};
    }
    usleep(5'000);
  }
  return {};
}

Result<void> FrameLeg::StartRunner(const RunnerSpec& runner) {
  const std::string agent = STAGGER_TRY(place_->installation.Agent());
  const std::string& examples = place_->installation.examples();
  const std::string name = fmt::format("runner-{}", runners_.size());
  ChildSpec spec;
  spec.path = examples + "/frame-runner";
  spec.out_file = dir_.File(name + ".out");
  spec.err_file = dir_.File(name + ".err");
  const std::string results = dir_.File(name + ".results");
  spec.argv = {"frame-runner", fmt::format("{}/models/{}.onnx", examples, runner.model),
               "--seconds",    fmt::format("{}", runner.seconds),
               "--batch",      std::to_string(runner.batch),
               "--threads",    "1",
               "--fps",        fmt::format("{}", runner.fps)};
  const auto option = [&](const char* flag, const std::string& value) {
    spec.argv.insert(spec.argv.end(), {flag, value});
  };
  if (runner.core >= 0) option("--core", std::to_string(runner.core));
  if (runner.calls.empty()) option("--results", results);
  if (!runner.calls.empty()) option("--calls", runner.calls);
  if (runner.stream) spec.environment = AppEnvironment(agent, runner.daemon, *runner.stream);
  if (!sockets_.empty()) {
    StreamSettings stream;
    stream.name = name;
    stream.executors = sockets_;
    stream.pipeline = runner.pipeline;
    spec.environment = AppEnvironment(agent, dir_.File("no-daemon"), stream);
  }
  runners_.push_back(
      {STAGGER_TRY(ChildProcess::Start(spec, place_->keeper)), spec.out_file, results});
  seconds_ = std::max(seconds_, runner.seconds);
  return {};
}

Result<void> FrameLeg::AwaitReady() {
  const TimePoint deadline = Now() + kPatience;
  for (Runner& runner : runners_) {
    while (ReadText(runner.out).rfind("ready", 0) != 0) {
      if (runner.process.Poll()) return Error{"a frame-runner ended early"};
      if (Now() > deadline || place_->stop.Raised()) return Error{"a frame-runner does not start"};
      usleep(10'000);
    }
  }
  return {};
}

Result<std::vector<RunnerReport>> FrameLeg::Finish() {
  std::vector<RunnerReport> reports;
  for (Runner& runner : runners_) {
    const Duration limit = FromMs(seconds_ * 1000) + kPatience;
    if (const auto ended = AwaitEnd(runner.process, limit, place_->stop); !ended) {
      return Error{"a frame-runner " + ended.error().message};
    }
    const std::string out = ReadText(runner.out);
    const auto json =
        nlohmann::json::parse(out.substr(std::min(out.find('{'), out.size())), nullptr, false);
    if (!json.is_object()) return Error{"a frame-runner reported nothing"};
    RunnerReport report;
    report.fps = json.value("fps", 0.0);
    report.p50_ms = json["inference_ms"].value("p50", 0.0);
    std::istringstream lines(ReadText(runner.results));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream numbers(line);
      std::vector<double> values;
      for (double value = 0; numbers >> value;) values.push_back(value);
      report.results.push_back(std::move(values));
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

Result<double> FrameLeg::ProportionalSize() const {
  double sum = 0;
  std::vector<pid_t> pids;
  for (const ChildProcess& executor : executors_) pids.push_back(executor.pid());
  for (const Runner& runner : runners_) pids.push_back(runner.process.pid());
  for (const pid_t pid : pids) {
    const std::optional<double> bytes = PssOf(pid);
    if (!bytes) return Error{"this kernel tells no proportional set sizes"};
    sum += *bytes;
  }
  return sum;
}

Comparison Compare(const RunnerReport& bare, const RunnerReport& other, int shift) {
  Comparison comparison;
  const std::size_t count = std::min(bare.results.size(), other.results.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto from = static_cast<std::size_t>(std::max(0, static_cast<int>(i) - shift));
    const std::vector<double>& a = bare.results[from];
    const std::vector<double>& b = other.results[i];
    comparison.same = comparison.same && a.size() == b.size();
    // Pairs of a sum and a sum of squares: the tolerance is that of the values.
    for (std::size_t k = 0; comparison.same && k + 1 < a.size(); k += 2) {
      const double size = std::max(std::sqrt(a[k + 1]), 1e-30);
      comparison.same = std::fabs(a[k] - b[k]) <= kTolerance * std::max(std::fabs(a[k]), size) &&
                        std::fabs(a[k + 1] - b[k + 1]) <= 2 * kTolerance * size * size;
    }
    ++comparison.frames;
  }
  return comparison;
}

Result<std::pair<int, int>> TwoCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  if (cores.size() < 2) return Error{"two cores are needed to compare one with two"};
  return std::pair(cores[0], cores[1]);
}

}  // namespace stagger::cli
