#include "lab/bench/hooks/hooks_site.h"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>

#include "base/clock.h"

namespace stagger::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds{60};
constexpr Duration kShortestShare = std::chrono::milliseconds{100};

}  // namespace

Result<HooksSite> HooksSite::Open(Workplace& place, bool with_log) {
  Result<ScratchDir> dir = ScratchDir::Make(place.keeper);
  if (!dir) return dir.error();
  VirtualGpuSpec spec;
  const auto model = vgpu::BuiltInModel("t4");
  if (!model) return Error{"there is no model of a T4"};
  spec.server.devices = {*model};
  if (with_log) spec.server.log = dir->File("device.jsonl");
  Result<VirtualGpu> gpu = VirtualGpu::Start(place.installation, spec, place.keeper);
  if (!gpu) return gpu.error();
  return HooksSite{std::move(dir).value(), std::move(gpu).value(), {}};
}

Result<void> HooksSite::StartDaemon(Workplace& place) {
  DaemonSpec spec;
  spec.socket = dir.File("daemon.sock");
  spec.policy = "fifo";
  spec.devices = "gpu:0";
  spec.concurrency = "1";
  spec.err_file = dir.File("staggerd.err");
  spec.environment = gpu.environment();
  Result<PrivateDaemon> started = PrivateDaemon::Start(place.installation, spec, place.keeper);
  if (!started) return started.error();
  daemon.emplace(std::move(started).value());
  return {};
}

Result<void> HooksSite::Close() {
  daemon.reset();
  if (const auto stopped = gpu.Stop(); !stopped) return stopped.error();
  return {};
}

Result<void> AwaitApps(std::vector<ChildProcess>& apps, StopSignal& stop, const ScratchDir& dir,
                       Duration between, const std::function<void()>& meanwhile) {
  const TimePoint deadline = Now() + kPatience;
  for (bool running = true; running;) {
    if (stop.WaitFor(between)) return Error{"interrupted"};
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

std::optional<Duration> AgentThreadsTime(pid_t pid) {
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

void CpuShare::Add(Duration used) {
  last_ = {Now(), used};
  if (!first_) first_ = last_;
}

std::optional<double> CpuShare::OfACore() const {
  if (!first_ || last_->first - first_->first < kShortestShare) return std::nullopt;
  return ToMs(last_->second - first_->second) / ToMs(last_->first - first_->first);
}

}  // namespace stagger::cli
