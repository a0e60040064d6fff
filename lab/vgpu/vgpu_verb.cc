// stagger vgpu: virtual GPUs for one command and everything it starts. Three processes: this one
// waits and passes signals on, a child serves the devices (virtual_gpu.h), another becomes the
// command, with our terminal, our input and our process group.
#include <fmt/core.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/try.h"
#include "console/arguments.h"
#include "lab/verbs.h"
#include "lab/vgpu/declared_devices.h"
#include "lab/vgpu/quantity.h"
#include "lab/vgpu/virtual_gpu.h"
#include "launch/installation.h"
#include "launch/keeper.h"

namespace stagger::cli {
namespace {

// What a person or a supervisor sends to end or to tell a program something.
constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct Request {
  VirtualGpuSpec gpu;
  Arguments command;
  std::string program;  // the path of command[0]
};

Error Failed(const char* what) { return Error{fmt::format("{}: {}", what, std::strerror(errno))}; }

[[noreturn]] void BecomeCommand(const Request& request, const Environment& environment) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : request.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(request.program.c_str(), argv.data());
  PrintError(fmt::format("cannot run '{}': {}", request.command.front(), std::strerror(errno)));
  _exit(kExitFailed);
}

// Until the command has ended: its exit code, as a shell gives it. What a person types at the
// terminal reaches the command without us; what is sent to us alone is passed on.
Result<int> WaitFor(pid_t command, int signals) {
  const UniqueFd ended(static_cast<int>(syscall(SYS_pidfd_open, command, 0)));
  if (!ended.valid()) return Failed("pidfd_open");
  while (true) {
    pollfd entries[] = {{ended.get(), POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(entries, 2, -1) < 0 && errno != EINTR) return Failed("poll");
    signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_code != SI_KERNEL) kill(command, static_cast<int>(info.ssi_signo));
    }
    if ((entries[0].revents & POLLIN) == 0) continue;
    int status = 0;
    if (waitpid(command, &status, 0) != command) return Failed("waitpid");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

Result<int> RunOnVirtualGpu(const Request& request) {
  const Installation installation = STAGGER_TRY(Installation::Find());
  Keeper keeper = STAGGER_TRY(Keeper::Start());

  sigset_t passed_on;
  sigemptyset(&passed_on);
  for (const int signal : kPassedOn) sigaddset(&passed_on, signal);
  sigprocmask(SIG_BLOCK, &passed_on, nullptr);
  const UniqueFd signals(signalfd(-1, &passed_on, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return Failed("signalfd");

  VirtualGpu gpu = STAGGER_TRY(VirtualGpu::Start(installation, request.gpu, keeper));
  const pid_t command = fork();
  if (command < 0) return Failed("cannot start a process");
  if (command == 0) BecomeCommand(request, gpu.environment());
  Result<int> code = WaitFor(command, signals.get());
  const Result<vgpu::ServerReport> report = gpu.Stop();
  if (report) {
    fmt::print(stderr, "stagger: vgpu: {}\n", ToString(*report));
  } else {
    PrintError("vgpu: " + report.error().message);
  }
  return code;
}

}  // namespace

int VgpuVerb(const Arguments& arguments) {
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  const Arguments own(arguments.begin(), separator);
  CLI::App app{
      "Runs a CUDA driver-API program, and all it starts, on virtual GPUs: one, or those of "
      "--devices.\n"
      "stagger vgpu [OPTIONS] -- COMMAND [ARGUMENT...]\n"
      "stagger vgpu --lose DEVICE | --restore DEVICE   (run by such a command)",
      "stagger vgpu"};
  std::string model = "t4";
  std::string mode = "mps";
  std::string kernel_cost = "50us";
  std::string memory;
  std::string devices;
  std::string lost;
  std::string restored;
  Request request;
  auto* model_option =
      app.add_option("--model", model, "t4, or a model file")->capture_default_str();
  auto* devices_option =
      app.add_option("--devices", devices,
                     "several of them, with commas: [NAME=]MODEL[:SPEED[:MEMORY]], as in "
                     "fast=t4,slow=t4:0.5:8GiB");
  app.add_option("--mode", mode, "mps: processes share the processor; timeslice: one at a time")
      ->capture_default_str();
  app.add_option("--kernel-cost", kernel_cost,
                 "how long a kernel takes of which neither its image nor the model says anything")
      ->capture_default_str();
  auto* memory_option = app.add_option("--memory", memory, "device memory, instead of the model's");
  devices_option->excludes(model_option)->excludes(memory_option);
  app.add_option("--lose", lost, "declare this device lost: by its name, or its number from 0");
  app.add_option("--restore", restored, "it is there again");
  app.add_option("--log", request.gpu.server.log,
                 "write what ran when to this file, as JSON lines");
  app.add_option("--fault", request.gpu.faults,
                 "launch, address, lost, server or hang, then :KERNEL:N: what befalls each "
                 "process's Nth launch of a kernel; several with commas");
  app.footer("Everything after -- is the program's own command line.");
  if (const auto code = ParseArguments(app, own)) return *code;

  const auto bad = [](const std::string& message) {
    PrintError("vgpu: " + message);
    return kExitUsage;
  };
  if (!lost.empty() || !restored.empty()) {
    if (separator != arguments.end()) return bad("--lose, --restore: not beside a command");
    for (const auto& [device, here] : {std::pair(lost, false), std::pair(restored, true)}) {
      if (device.empty()) continue;
      if (const Result<void> switched = SwitchDevice(device, here); !switched) {
        PrintError("vgpu: " + switched.error().message);
        return kExitFailed;
      }
    }
    return kExitOk;
  }
  if (separator == arguments.end() || separator + 1 == arguments.end()) {
    return bad("what to run? stagger vgpu [OPTIONS] -- COMMAND [ARGUMENT...]");
  }
  request.command = Arguments(separator + 1, arguments.end());
  if (devices.empty()) {
    const Result<vgpu::Model> read = ModelOf(model);
    if (!read) return bad("--model: " + read.error().message);
    request.gpu.server.devices = {*read};
  } else {
    Result<std::vector<vgpu::Model>> read = ParseDevices(devices);
    if (!read) return bad("--devices: " + read.error().message);
    request.gpu.server.devices = std::move(read).value();
  }
  if (mode != "mps" && mode != "timeslice") {
    return bad(fmt::format("--mode: '{}'; expected mps or timeslice", mode));
  }
  request.gpu.server.mode = mode == "mps" ? vgpu::Mode::kMps : vgpu::Mode::kTimeslice;
  const auto cost = vgpu::ParseTime(kernel_cost);
  if (!cost) {
    return bad(fmt::format("--kernel-cost: '{}'; expected a time, for example 50us", kernel_cost));
  }
  request.gpu.server.default_cost.cost = *cost;
  if (!memory.empty()) {
    const auto bytes = vgpu::ParseSize(memory);
    if (!bytes) return bad(fmt::format("--memory: '{}'; expected a size, like 16GiB", memory));
    request.gpu.server.devices.front().memory_bytes = *bytes;
  }
  if (const auto faults = vgpu::ParseFaults(request.gpu.faults); !faults) {
    return bad("--fault: " + faults.error().message);
  }
  request.program = FindInPath(request.command.front());
  if (request.program.empty()) {
    PrintError(fmt::format("vgpu: cannot run '{}': no such program", request.command.front()));
    return kExitFailed;
  }
  const Result<int> code = RunOnVirtualGpu(request);
  if (!code) {
    PrintError("vgpu: " + code.error().message);
    return kExitFailed;
  }
  return *code;
}

}  // namespace stagger::cli
