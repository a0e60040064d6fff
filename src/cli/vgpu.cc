// stagger vgpu: a virtual GPU for one command and everything it starts. Three processes: this one
// waits and passes signals on, a child serves the device, another becomes the command, with our
// terminal, our input and our process group.
#include <fcntl.h>
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
#include <cstdlib>
#include <cstring>

#include "cli/arguments.h"
#include "cli/installation.h"
#include "cli/keeper.h"
#include "cli/scratch_dir.h"
#include "cli/verbs.h"
#include "cli/vgpu_model_file.h"
#include "vgpu/faults.h"
#include "vgpu/protocol.h"
#include "vgpu/quantity.h"
#include "vgpu/server.h"
#include "wire/listener.h"

namespace stagger::cli {
namespace {

// What a person or a supervisor sends to end or to tell a program something.
constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct Request {
  vgpu::ServerConfig server;
  std::string faults;
  Arguments command;
  std::string program;  // the path of command[0]
};

Error Failed(const char* what) { return Error{fmt::format("{}: {}", what, std::strerror(errno))}; }

Result<vgpu::Model> ModelOf(const std::string& name_or_file) {
  if (const auto built_in = vgpu::BuiltInModel(name_or_file)) return *built_in;
  if (name_or_file.find('/') == std::string::npos && name_or_file.find('.') == std::string::npos) {
    return Error{
        fmt::format("--model: '{}' is no model; expected t4, or a model file", name_or_file)};
  }
  return ReadModel(name_or_file);
}

void Report(const vgpu::ServerReport& report) {
  const vgpu::Lateness& late = report.lateness;
  const auto us = [](Duration d) { return static_cast<double>(d.count()) / 1000; };
  fmt::print(stderr, "stagger: vgpu: {} processes, {} kernels, {} operations", report.processes,
             report.kernels, report.operations);
  if (late.total() > 0) {
    fmt::print(stderr,
               "; {} awaited completions reached their app late by {:.0f} us (p50), {:.0f} us "
               "(p99), {:.0f} us (max), {:.2f} % by more than 1 ms",
               late.total(), us(late.Quantile(0.5)), us(late.Quantile(0.99)), us(late.max()),
               100 * late.ShareAbove(std::chrono::milliseconds{1}));
  }
  fmt::print(stderr, "\n");
}

[[noreturn]] void RunServer(const vgpu::ServerConfig& config, UniqueFd listener, int stop_fd,
                            UniqueFd ready) {
  const Result<vgpu::ServerReport> served =
      vgpu::Serve(config, std::move(listener), stop_fd, std::move(ready));
  if (!served) {
    PrintError("vgpu: " + served.error().message);
    _exit(kExitFailed);
  }
  Report(*served);
  _exit(kExitOk);
}

[[noreturn]] void BecomeCommand(const Request& request, const std::string& socket,
                                const std::string& libraries) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const char* before = std::getenv("LD_LIBRARY_PATH");
  const bool some = before != nullptr && *before != '\0';
  setenv("LD_LIBRARY_PATH", (some ? libraries + ":" + before : libraries).c_str(), 1);
  setenv(vgpu::kSocketVariable, socket.c_str(), 1);
  if (!request.faults.empty()) setenv(vgpu::kFaultVariable, request.faults.c_str(), 1);
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
  const Result<Installation> installation = Installation::Find();
  if (!installation) return installation.error();
  const Result<std::string> libraries = installation->VirtualDriver();
  if (!libraries) return libraries.error();
  Result<Keeper> keeper = Keeper::Start();
  if (!keeper) return keeper.error();
  const Result<ScratchDir> scratch = ScratchDir::Make(*keeper);
  if (!scratch) return scratch.error();
  const std::string socket = scratch->File("vgpu");
  Result<wire::Listener> listener = wire::Listen(socket, "");
  if (!listener) return listener.error();

  sigset_t passed_on;
  sigemptyset(&passed_on);
  for (const int signal : kPassedOn) sigaddset(&passed_on, signal);
  sigprocmask(SIG_BLOCK, &passed_on, nullptr);
  const UniqueFd signals(signalfd(-1, &passed_on, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return Failed("signalfd");

  int stop[2];
  int ready[2];
  if (pipe2(stop, O_CLOEXEC) != 0 || pipe2(ready, O_CLOEXEC) != 0) return Failed("pipe");
  UniqueFd stop_reader(stop[0]);
  UniqueFd stop_writer(stop[1]);  // the server ends when this closes, however we end
  UniqueFd ready_reader(ready[0]);
  UniqueFd ready_writer(ready[1]);
  const pid_t server = fork();
  if (server < 0) return Failed("cannot start a process");
  if (server == 0) {
    stop_writer.Reset();
    RunServer(request.server, std::move(listener->socket), stop_reader.get(),
              std::move(ready_writer));
  }
  ready_writer.Reset();
  stop_reader.Reset();
  char byte;
  ssize_t count;
  do {
    count = read(ready_reader.get(), &byte, 1);
  } while (count < 0 && errno == EINTR);
  if (count != 1) {
    waitpid(server, nullptr, 0);
    return kExitFailed;  // it has said why
  }

  const pid_t command = fork();
  if (command < 0) return Failed("cannot start a process");
  if (command == 0) BecomeCommand(request, socket, *libraries);
  Result<int> code = WaitFor(command, signals.get());
  stop_writer.Reset();
  waitpid(server, nullptr, 0);
  return code;
}

}  // namespace

int VgpuVerb(const Arguments& arguments) {
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  const Arguments own(arguments.begin(), separator);
  CLI::App app{
      "Runs a CUDA driver-API program, and all it starts, on one virtual GPU.\n"
      "stagger vgpu [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger vgpu"};
  std::string model = "t4";
  std::string mode = "mps";
  std::string kernel_cost = "50us";
  std::string memory;
  Request request;
  app.add_option("--model", model, "t4, or a model file")->capture_default_str();
  app.add_option("--mode", mode, "mps: processes share the processor; timeslice: one at a time")
      ->capture_default_str();
  app.add_option("--kernel-cost", kernel_cost,
                 "how long a kernel takes of which neither its image nor the model says anything")
      ->capture_default_str();
  app.add_option("--memory", memory, "device memory, instead of the model's");
  app.add_option("--log", request.server.log, "write who ran when to this file, as JSON lines");
  app.add_option("--fault", request.faults,
                 "launch, address, server or hang, then :KERNEL:N: what befalls each process's Nth "
                 "launch of a kernel; several with commas");
  app.footer("Everything after -- is the program's own command line.");
  if (const auto code = ParseArguments(app, own)) return *code;

  const auto bad = [](const std::string& message) {
    PrintError("vgpu: " + message);
    return kExitUsage;
  };
  if (separator == arguments.end() || separator + 1 == arguments.end()) {
    return bad("what to run? stagger vgpu [OPTIONS] -- COMMAND [ARGUMENT...]");
  }
  request.command = Arguments(separator + 1, arguments.end());
  Result<vgpu::Model> read = ModelOf(model);
  if (!read) return bad(read.error().message);
  request.server.model = std::move(read).value();
  if (mode != "mps" && mode != "timeslice") {
    return bad(fmt::format("--mode: '{}'; expected mps or timeslice", mode));
  }
  request.server.mode = mode == "mps" ? vgpu::Mode::kMps : vgpu::Mode::kTimeslice;
  const auto cost = vgpu::ParseTime(kernel_cost);
  if (!cost) {
    return bad(fmt::format("--kernel-cost: '{}'; expected a time, for example 50us", kernel_cost));
  }
  request.server.default_cost.cost = *cost;
  if (!memory.empty()) {
    const auto bytes = vgpu::ParseSize(memory);
    if (!bytes) return bad(fmt::format("--memory: '{}'; expected a size, like 16GiB", memory));
    request.server.model.memory_bytes = *bytes;
  }
  if (const auto faults = vgpu::ParseFaults(request.faults); !faults) {
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
