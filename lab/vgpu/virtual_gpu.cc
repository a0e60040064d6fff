#include "lab/vgpu/virtual_gpu.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/try.h"
#include "lab/vgpu/protocol.h"
#include "wire/listener.h"

namespace stagger::cli {
namespace {

// The first byte of what the server says at its end; the rest is the report, or an error's message.
constexpr char kServed = 'r';
constexpr char kFailed = 'e';

Error Failed(const char* what) { return Error{fmt::format("{}: {}", what, std::strerror(errno))}; }

[[noreturn]] void RunServer(const vgpu::ServerConfig& config, UniqueFd listener, int stop_fd,
                            UniqueFd ready, int report_fd) {
  const Result<vgpu::ServerReport> served =
      vgpu::Serve(config, std::move(listener), stop_fd, std::move(ready));
  std::string told(1, served ? kServed : kFailed);
  if (served) {
    static_assert(std::is_trivially_copyable_v<vgpu::ServerReport>);
    told.append(reinterpret_cast<const char*>(&*served), sizeof *served);
  } else {
    told += served.error().message;
  }
  (void)!write(report_fd, told.data(), told.size());
  _exit(0);
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

Environment EnvironmentOf(const std::string& libraries, const std::string& socket,
                          const std::string& faults) {
  Environment environment;
  const char* before = std::getenv("LD_LIBRARY_PATH");
  const bool some = before != nullptr && *before != '\0';
  environment["LD_LIBRARY_PATH"] = some ? libraries + ":" + before : libraries;
  environment[vgpu::kSocketVariable] = socket;
  if (!faults.empty()) environment[vgpu::kFaultVariable] = faults;
  return environment;
}

}  // namespace

Result<VirtualGpu> VirtualGpu::Start(const Installation& installation, const VirtualGpuSpec& spec,
                                     Keeper& keeper) {
  const std::string libraries = STAGGER_TRY(installation.VirtualDriver());
  VirtualGpu gpu(STAGGER_TRY(ScratchDir::Make(keeper)));
  const std::string socket = gpu.scratch_.File("vgpu");
  wire::Listener listener = STAGGER_TRY(wire::Listen(socket, ""));
  gpu.environment_ = EnvironmentOf(libraries, socket, spec.faults);

  int stop[2];  // a socket, since writing to a pipe of a server that was killed would end us
  int ready[2];
  int report[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop) != 0) return Failed("socketpair");
  UniqueFd stop_reader(stop[0]);
  gpu.stop_ = UniqueFd(stop[1]);
  if (pipe2(ready, O_CLOEXEC) != 0) return Failed("pipe");
  UniqueFd ready_reader(ready[0]);
  UniqueFd ready_writer(ready[1]);
  if (pipe2(report, O_CLOEXEC) != 0) return Failed("pipe");
  gpu.report_ = UniqueFd(report[0]);
  UniqueFd report_writer(report[1]);
  const pid_t server = fork();
  if (server < 0) return Failed("cannot start a process");
  if (server == 0) {
    gpu.stop_.Reset();
    RunServer(spec.server, std::move(listener.socket), stop_reader.get(), std::move(ready_writer),
              report_writer.get());
  }
  gpu.server_ = server;
  ready_writer.Reset();
  report_writer.Reset();
  char byte;
  ssize_t count;
  do {
    count = read(ready_reader.get(), &byte, 1);
  } while (count < 0 && errno == EINTR);
  if (count == 1) return gpu;
  const Result<vgpu::ServerReport> ended = gpu.Stop();
  return ended ? Error{"the virtual GPU's server did not start"} : ended.error();
}

VirtualGpu::VirtualGpu(VirtualGpu&& other) noexcept
    : scratch_(std::move(other.scratch_)),
      environment_(std::move(other.environment_)),
      server_(std::exchange(other.server_, -1)),
      stop_(std::move(other.stop_)),
      report_(std::move(other.report_)) {}

VirtualGpu::~VirtualGpu() {
  if (server_ > 0) (void)Stop();
}

Result<vgpu::ServerReport> VirtualGpu::Stop() {
  // A byte, not only the pipe's end: another server that was forked later holds that open too.
  (void)send(stop_.get(), "s", 1, MSG_NOSIGNAL);
  stop_.Reset();
  const std::string told = ReadAll(report_.get());
  report_.Reset();
  while (waitpid(server_, nullptr, 0) < 0 && errno == EINTR) {
  }
  server_ = -1;
  if (!told.empty() && told.front() == kFailed) return Error{told.substr(1)};
  vgpu::ServerReport report;
  if (told.size() != 1 + sizeof report) return Error{"the virtual GPU's server ended early"};
  std::memcpy(&report, told.data() + 1, sizeof report);
  return report;
}

std::string ToString(const vgpu::ServerReport& report) {
  const vgpu::Lateness& late = report.lateness;
  const auto us = [](Duration d) { return static_cast<double>(d.count()) / 1000; };
  std::string text = fmt::format("{} processes, {} kernels, {} operations", report.processes,
                                 report.kernels, report.operations);
  if (late.total() > 0) {
    text += fmt::format(
        "; {} awaited completions reached their app late by {:.0f} us (p50), {:.0f} us (p99), "
        "{:.0f} us (max), {:.2f} % by more than 1 ms",
        late.total(), us(late.Quantile(0.5)), us(late.Quantile(0.99)), us(late.max()),
        100 * late.ShareAbove(std::chrono::milliseconds{1}));
  }
  return text;
}

}  // namespace stagger::cli
