#include "launch/private_daemon.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/try.h"
#include "launch/daemon_control.h"
#include "wire/timers.h"

namespace stagger::cli {
namespace {

std::string LastLineOf(std::istream& text) {
  std::string last;
  for (std::string line; std::getline(text, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last;
}

std::string LastWords(int pipe) {
  char buffer[65536];
  const ssize_t count = read(pipe, buffer, sizeof buffer);
  std::istringstream text(
      std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(count, 0))));
  return LastLineOf(text);
}

}  // namespace

std::string LastLine(const std::string& path) {
  std::ifstream file(path);
  return LastLineOf(file);
}

Result<PrivateDaemon> PrivateDaemon::Start(const Installation& installation, const DaemonSpec& spec,
                                           Keeper& keeper) {
  ChildSpec child;
  child.path = STAGGER_TRY(installation.Daemon());
  child.environment = spec.environment;
  child.argv = {"staggerd", "--socket", spec.socket, "--http", spec.http};
  for (const auto& [option, value] : {std::pair{"--policy", &spec.policy},
                                      {"--concurrency", &spec.concurrency},
                                      {"--demand-limit", &spec.demand_limit},
                                      {"--spacing", &spec.spacing_ms},
                                      {"--devices", &spec.devices},
                                      {"--mps", &spec.mps}}) {
    if (!value->empty()) child.argv.insert(child.argv.end(), {option, *value});
  }
  child.environment = spec.environment;
  child.pipe_output = spec.err_file.empty();
  if (!child.pipe_output) {
    child.err_file = spec.err_file;
    child.out_file = "/dev/null";
  }
  ChildProcess process = STAGGER_TRY(ChildProcess::Start(child, keeper));
  keeper.WatchPath(spec.socket);
  PrivateDaemon daemon(spec.socket, std::move(process), keeper);

  const TimePoint deadline = Now() + wire::kDaemonStartLimit;
  // Its socket is there before it serves; and it may yet find that it cannot.
  while (!AskDaemon(spec.socket, "policy", nullptr, wire::kDaemonStartLimit)) {
    if (const std::optional<ExitStatus> status = daemon.process_.Poll()) {
      const std::string words =
          child.pipe_output ? LastWords(daemon.process_.err_fd()) : LastLine(spec.err_file);
      return Error{fmt::format("the daemon did not start ({}): {}", ToString(*status), words)};
    }
    if (Now() > deadline) {
      return Error{fmt::format("the daemon did not answer at {} within {:.0f} s", spec.socket,
                               ToMs(wire::kDaemonStartLimit) / 1000)};
    }
    usleep(5000);
  }
  return daemon;
}

PrivateDaemon::~PrivateDaemon() { Stop(); }

std::optional<ExitStatus> PrivateDaemon::Stop() {
  if (process_.pid() <= 0) return std::nullopt;
  if (!process_.Poll()) StopAll({&process_}, wire::kDaemonStopLimit);
  unlink(socket_.c_str());
  keeper_->ForgetPath(socket_);
  return process_.Poll();
}

}  // namespace stagger::cli
