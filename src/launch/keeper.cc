#include "launch/keeper.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

namespace stagger::cli {
namespace {

// One order per line: what to do, then the process group or path that it is about.
constexpr char kWatchGroup = 'G';
constexpr char kForgetGroup = 'g';
constexpr char kWatchPath = 'P';
constexpr char kForgetPath = 'p';

struct Charge {
  std::set<pid_t> groups;
  std::set<std::string> paths;

  void Take(const std::string& order) {
    if (order.size() < 2) return;
    const std::string target = order.substr(1);
    const auto group = static_cast<pid_t>(std::atol(target.c_str()));
    switch (order[0]) {
      case kWatchGroup:
        // Never 0 or 1: kill() would read those as "everybody".
        if (group > 1) groups.insert(group);
        break;
      case kForgetGroup:
        groups.erase(group);
        break;
      case kWatchPath:
        paths.insert(target);
        break;
      case kForgetPath:
        paths.erase(target);
        break;
      default:
        break;
    }
  }

  void Clear() {
    for (const pid_t group : groups) kill(-group, SIGKILL);
    for (const std::string& path : paths) {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  }
};

[[noreturn]] void Keep(int pipe) {
  setsid();  // no terminal's Ctrl-C reaches it
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  prctl(PR_SET_NAME, "stagger-keeper");
  const int null = open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) dup2(null, fd);  // or a reader of our output would wait for it
  Charge charge;
  std::string pending;
  char buffer[4096];
  while (true) {
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    pending.append(buffer, static_cast<std::size_t>(count));
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos;) {
      charge.Take(pending.substr(0, end));
      pending.erase(0, end + 1);
    }
  }
  charge.Clear();
  _exit(0);
}

}  // namespace

Result<Keeper> Keeper::Start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error{fmt::format("pipe: {}", std::strerror(errno))};
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return Error{fmt::format("cannot start a process: {}", std::strerror(errno))};
  if (pid == 0) {
    writer.Reset();
    Keep(reader.get());
  }
  return Keeper(pid, std::move(writer));
}

Keeper::Keeper(Keeper&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pipe_(std::move(other.pipe_)) {}

Keeper::~Keeper() {
  pipe_.Reset();
  if (pid_ <= 0) return;
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Keeper::WatchGroup(pid_t group) { Tell(kWatchGroup, std::to_string(group)); }
void Keeper::ForgetGroup(pid_t group) { Tell(kForgetGroup, std::to_string(group)); }
void Keeper::WatchPath(const std::string& path) { Tell(kWatchPath, path); }
void Keeper::ForgetPath(const std::string& path) { Tell(kForgetPath, path); }

void Keeper::Tell(char what, const std::string& target) {
  if (target.find('\n') != std::string::npos) return;
  // If the keeper was killed, a write would end us with SIGPIPE: better to go on without it.
  sigset_t pipe_only;
  sigset_t before;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  sigprocmask(SIG_BLOCK, &pipe_only, &before);
  const std::string line = what + target + "\n";
  const ssize_t written = write(pipe_.get(), line.data(), line.size());
  if (written < 0 && errno == EPIPE) {
    const timespec none{};
    sigtimedwait(&pipe_only, nullptr, &none);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace stagger::cli
