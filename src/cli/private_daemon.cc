#include "cli/private_daemon.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "base/clock.h"
#include "cli/daemon_control.h"

namespace stagger::cli {
namespace {

constexpr Duration kStartTimeout = std::chrono::seconds{5};
constexpr Duration kStopGrace = std::chrono::seconds{2};

}  // namespace

std::string LastLine(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last;
}

Result<PrivateDaemon> PrivateDaemon::Start(const Installation& installation, const DaemonSpec& spec,
                                           Keeper& keeper) {
  const Result<std::string> path = installation.Daemon();
  if (!path) return path.error();
  ChildSpec child;
  child.path = *path;
  child.argv = {"staggerd", "--socket", spec.socket, "--http", spec.http};
  if (!spec.policy.empty()) child.argv.insert(child.argv.end(), {"--policy", spec.policy});
  if (spec.concurrency) {
    child.argv.insert(child.argv.end(), {"--concurrency", std::to_string(*spec.concurrency)});
  }
  child.err_file = spec.err_file;
  child.out_file = spec.err_file.empty() ? "/dev/null" : spec.err_file + ".out";
  Result<ChildProcess> process = ChildProcess::Start(child, keeper);
  if (!process) return process.error();
  keeper.WatchPath(spec.socket);
  PrivateDaemon daemon(spec.socket, std::move(process).value(), keeper);

  const TimePoint deadline = Now() + kStartTimeout;
  while (!DaemonListens(spec.socket)) {
    if (const std::optional<ExitStatus> status = daemon.process_.Poll()) {
      const std::string words = spec.err_file.empty() ? "" : ": " + LastLine(spec.err_file);
      return Error{fmt::format("the daemon did not start ({}){}", ToString(*status), words)};
    }
    if (Now() > deadline) {
      return Error{fmt::format("the daemon did not listen at {} within 5 s", spec.socket)};
    }
    usleep(5000);
  }
  return daemon;
}

PrivateDaemon::~PrivateDaemon() { Stop(); }

std::optional<ExitStatus> PrivateDaemon::Stop() {
  if (process_.pid() <= 0) return std::nullopt;
  if (!process_.Poll()) StopAll({&process_}, kStopGrace);
  unlink(socket_.c_str());
  keeper_->ForgetPath(socket_);
  return process_.Poll();
}

}  // namespace stagger::cli
