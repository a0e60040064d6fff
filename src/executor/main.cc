// stagger-executor: runs inferences that apps send it, on one device. Exit codes: 0 ok, 1 failed,
// 2 bad usage.
#include <dlfcn.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "agent/interface.h"
#include "base/stop_signals.h"
#include "base/try.h"
#include "device/nvidia.h"
#include "executor/options.h"
#include "executor/server.h"

namespace stagger::executor {
namespace {

constexpr int kPatienceMs = 5000;

Result<void> StayOn(const std::vector<unsigned>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned core : cores) CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    return Error{"cannot stay on the device's cores"};
  return {};
}

// Null: no agent is preloaded.
const StaggerAgentInterface* Agent() {
  return static_cast<const StaggerAgentInterface*>(dlsym(RTLD_DEFAULT, "stagger_agent_interface"));
}

// With the agent preloaded this process is a stream: the daemon knows it from now on, and not only
// from its first inference, and sees it go when it dies.
void JoinDaemon(const std::string& socket) {
  // As apps are told of it, which may start elsewhere.
  setenv("STAGGER_SERVES", std::filesystem::absolute(socket).c_str(), 1);
  if (Agent() != nullptr) Agent()->nudge();
}

// So that the agent asks for turns as the app would that sent the inference.
void TellDue(std::optional<Duration> due) {
  Agent()->due_in(due ? static_cast<std::int64_t>(due->count()) : -1);
}

// CUDA is to see this one and no other, whatever we were started with: it counts GPUs in another
// order than NVML, by which everybody else here names them. While there is one thread only.
Target TargetOf(const Options& options) {
  Target target{.name = options.device,
                .threads = static_cast<int>(options.cores.size()),
                .gpu = options.gpu,
                .memory = static_cast<std::uint64_t>(options.memory_mb * 1024 * 1024)};
  if (!options.gpu) return target;
  const Result<std::unique_ptr<device::Nvidia>> nvidia = device::Nvidia::Open();
  if (!nvidia) {
    target.why_not = "there is no GPU here: " + nvidia.error().message;
  } else {
    const std::vector<device::Gpu>& gpus = (*nvidia)->gpus();
    const auto found = std::ranges::find(gpus, *options.gpu, &device::Gpu::number);
    if (found == gpus.end()) {
      target.why_not = fmt::format("there is no such GPU here; expected a number below {}",
                                   gpus.back().number + 1);
    } else {
      setenv("CUDA_VISIBLE_DEVICES", device::GpuUuidText(found->uuid).c_str(), 1);
      // 19 bits instead of 32 would show in the results, which stand in for a CPU's.
      setenv("NVIDIA_TF32_OVERRIDE", "0", 0);
    }
  }
  if (!target.why_not.empty()) {
    spdlog::warn("{}: {}; models are refused until it is there and this executor started again",
                 target.name, target.why_not);
  }
  return target;
}

Result<void> Serve(const Options& options) {
  // Ours to run, not to forward: an agent in this process asks for turns and nothing else.
  unsetenv("STAGGER_EXECUTOR");
  unsetenv("STAGGER_PIPELINE");
  UniqueFd signals = STAGGER_TRY(TakeStopSignals());
  if (auto placed = StayOn(options.cores); !placed) return placed;
  wire::Listener listener = STAGGER_TRY(wire::Listen(options.socket, ""));
  ServerSettings settings{
      .target = TargetOf(options),
      .share = options.share,
      .shared_memory = static_cast<std::uint64_t>(options.shared_memory_mb * 1024 * 1024),
      .max_batch = options.max_batch};
  // An older agent has no such function.
  if (Agent() != nullptr && Agent()->size >= sizeof *Agent()) settings.due_in = &TellDue;
  JoinDaemon(options.socket);
  Server server(std::move(listener), std::move(settings));
  spdlog::info("{} at {}", options.device, options.socket);
  if (options.ready_fd >= 0) {
    if (write(options.ready_fd, "READY\n", 6) != 6) spdlog::warn("nobody reads --ready-fd");
    close(options.ready_fd);
  }
  server.Run(signals.get());
  unlink(options.socket.c_str());
  return {};
}

Result<void> PrintStatus(const Options& options) {
  const UniqueFd fd = STAGGER_TRY(wire::Connect(options.socket));
  if (wire::Send(fd.get(), wire::StatusRequest{}) != wire::Io::kOk)
    return Error{"the executor is gone"};
  pollfd entry{fd.get(), POLLIN, 0};
  if (poll(&entry, 1, kPatienceMs) <= 0) return Error{"the executor does not answer"};
  wire::ExecutorMessage message;
  wire::Descriptors none;
  if (wire::Receive(fd.get(), &message, &none) != wire::Io::kOk) {
    return Error{"the executor answers with something else"};
  }
  if (const auto* refused = std::get_if<wire::Refused>(&message)) return Error{refused->reason};
  const auto* told = std::get_if<wire::StatusReply>(&message);
  if (told == nullptr) return Error{"the executor answers with something else"};
  fmt::print("{}\n", told->chunk);
  return {};
}

}  // namespace
}  // namespace stagger::executor

int main(int argc, char** argv) {
  using namespace stagger::executor;
  spdlog::set_default_logger(spdlog::stderr_color_mt("stagger-executor"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e executor %l: %v");
  const Parsed parsed = ParseOptions(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  const stagger::Result<void> done =
      parsed.options->status ? PrintStatus(*parsed.options) : Serve(*parsed.options);
  if (!done) {
    fmt::print(stderr, "stagger-executor: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
