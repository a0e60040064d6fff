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

Result<FrameLeg> FrameLeg::Make(Workplace& place) {
  Result<ScratchDir> dir = ScratchDir::Make(place.keeper);
  if (!dir) return dir.error();
  const Result<std::string> agent = place.installation.Agent();
  if (!agent) return agent.error();
  return FrameLeg(place, std::move(dir).value(), *agent);
}

Result<std::string> FrameLeg::StartExecutor(int core, int max_batch) {
  const Result<std::string> program = place_->installation.Executor();
  if (!program) return program.error();
  const std::string device = fmt::format("cpu:{}", core);
  const std::string socket = dir_.File(device);
  ChildSpec spec;
  spec.path = *program;
  spec.argv = {"stagger-executor", "--device", device, "--socket", socket};
  if (max_batch > 0) {
    spec.argv.insert(spec.argv.end(), {"--max-batch", std::to_string(max_batch)});
  }
  spec.out_file = "/dev/null";
  spec.err_file = dir_.File(device + ".err");
  Result<ChildProcess> process = ChildProcess::Start(spec, place_->keeper);
  if (!process) return process.error();
  executors_.push_back(std::move(process).value());
  const TimePoint deadline = Now() + kPatience;
  while (!wire::Connect(socket)) {
    if (executors_.back().Poll() || Now() > deadline || place_->stop.Raised()) {
      return Error{"the executor did not start: " + LastLine(spec.err_file)};
    }
    usleep(5'000);
  }
  return socket;
}

Result<void> FrameLeg::StartRunner(const RunnerSpec& runner) {
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
               "--fps",        fmt::format("{}", runner.fps),
               "--results",    results};
  if (runner.core >= 0) {
    spec.argv.insert(spec.argv.end(), {"--core", std::to_string(runner.core)});
  }
  if (!runner.executors.empty()) {
    StreamSettings stream;
    stream.name = name;
    stream.executors = runner.executors;
    stream.pipeline = runner.pipeline;
    spec.environment = AppEnvironment(agent_, dir_.File("no-daemon"), stream);
  }
  Result<ChildProcess> process = ChildProcess::Start(spec, place_->keeper);
  if (!process) return process.error();
  runners_.push_back({std::move(process).value(), spec.out_file, results});
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
    if (const auto ended = AwaitEnd(runner.process, kPatience, place_->stop); !ended) {
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

Result<double> FrameLeg::ProportionalSize() {
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
