#include "launch/child_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/clock.h"

namespace stagger::cli {
namespace {

Duration ToDuration(const timeval& t) {
  return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
}

std::vector<std::string> MergedEnvironment(const Environment& extra) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (extra.count(text.substr(0, text.find('='))) == 0) merged.push_back(text);
  }
  for (const auto& [name, value] : extra) merged.push_back(fmt::format("{}={}", name, value));
  return merged;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

struct Streams {
  int in = -1;
  int out = -1;
  int err = -1;
  bool out_to_err = false;
};

// Runs in the child: only async-signal-safe calls.
[[noreturn]] void Become(const char* path, char* const* argv, char* const* envp,
                         const Streams& streams, int report, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (streams.in >= 0) dup2(streams.in, 0);
  if (streams.out >= 0) dup2(streams.out, 1);
  if (streams.err >= 0) dup2(streams.err, 2);
  if (streams.out_to_err) dup2(2, 1);
  execve(path, argv, envp);
  const int error = errno;
  (void)!write(report, &error, sizeof error);
  _exit(127);
}

Error Failure(const std::string& what) {
  return Error{fmt::format("{}: {}", what, std::strerror(errno))};
}

}  // namespace

std::string ToString(const ExitStatus& status) {
  if (!status.by_signal) return fmt::format("exit code {}", status.code);
  return fmt::format("killed by signal {} ({})", status.code, strsignal(status.code));
}

Result<ChildProcess> ChildProcess::Start(const ChildSpec& spec, Keeper& keeper) {
  ChildProcess child;
  const std::vector<std::string> environment = MergedEnvironment(spec.environment);
  const std::vector<char*> argv = Pointers(spec.argv);
  const std::vector<char*> envp = Pointers(environment);

  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  UniqueFd out;
  UniqueFd err;
  const auto open_output = [](const std::string& path, UniqueFd* fd) {
    if (path.empty()) return true;
    fd->Reset(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return fd->valid();
  };
  if (!open_output(spec.out_file, &out)) return Failure("cannot write " + spec.out_file);
  if (!open_output(spec.err_file, &err)) return Failure("cannot write " + spec.err_file);
  if (spec.pipe_output) {
    for (auto [read_end, write_end] :
         {std::pair{&child.out_, &out}, std::pair{&child.err_, &err}}) {
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) return Failure("pipe");
      read_end->Reset(ends[0]);
      write_end->Reset(ends[1]);
      fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
  }
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return Failure("pipe");
  UniqueFd report_reader(report[0]);
  UniqueFd report_writer(report[1]);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Failure("cannot start a process");
  if (pid == 0) {
    Become(spec.path.c_str(), argv.data(), envp.data(),
           {spec.keep_input ? -1 : null.get(), out.get(), err.get(), spec.output_to_err},
           report_writer.get(), parent);
  }
  setpgid(pid, pid);  // also here: parent or child may come first
  child.pid_ = pid;
  child.keeper_ = &keeper;
  keeper.WatchGroup(pid);
  // Not pidfd_open(): glibc 2.36 forgot to declare it extern "C".
  child.pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));

  report_writer.Reset();
  int error = 0;
  ssize_t count;
  do {
    count = read(report_reader.get(), &error, sizeof error);
  } while (count < 0 && errno == EINTR);
  if (count == sizeof error) {
    errno = error;
    return Failure(fmt::format("cannot run '{}'", spec.path));
  }
  if (!child.pidfd_.valid()) return Failure("pidfd_open");
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept { *this = std::move(other); }

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  Kill();
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::move(other.pidfd_);
  out_ = std::move(other.out_);
  err_ = std::move(other.err_);
  keeper_ = other.keeper_;
  status_ = other.status_;
  return *this;
}

ChildProcess::~ChildProcess() { Kill(); }

void ChildProcess::Kill() {
  if (pid_ <= 0 || status_) return;
  SignalGroup(SIGKILL);
  WaitUntil(kNever);
}

std::optional<ExitStatus> ChildProcess::Poll() {
  if (status_ || pid_ <= 0) return status_;
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid != pid_) {
    return std::nullopt;
  }
  // What it started and left behind goes too; its number is still ours until it is reaped.
  kill(-pid_, SIGKILL);
  keeper_->ForgetGroup(pid_);
  int raw = 0;
  rusage usage{};
  if (wait4(pid_, &raw, 0, &usage) != pid_) return std::nullopt;
  ExitStatus status;
  status.by_signal = WIFSIGNALED(raw);
  status.code = status.by_signal ? WTERMSIG(raw) : WEXITSTATUS(raw);
  status.cpu_time = ToDuration(usage.ru_utime) + ToDuration(usage.ru_stime);
  status_ = status;
  return status_;
}

std::optional<ExitStatus> ChildProcess::WaitUntil(TimePoint deadline) {
  while (true) {
    if (Poll() || pid_ <= 0) return status_;
    int wait_ms = -1;
    if (deadline != kNever) {
      const Duration left = deadline - Now();
      if (left <= Duration::zero()) return std::nullopt;
      wait_ms = static_cast<int>(std::min(ToMs(left) + 1, 1e6));
    }
    pollfd entry{pidfd_.get(), POLLIN, 0};
    if (pidfd_.valid()) {
      poll(&entry, 1, wait_ms);
    } else {
      usleep(1000);
    }
  }
}

void ChildProcess::SignalGroup(int signal) {
  if (pid_ > 0 && !status_) kill(-pid_, signal);
}

std::optional<Duration> ChildProcess::CpuTime() const {
  if (pid_ <= 0 || status_) return std::nullopt;
  return ProcessCpuTime(pid_);
}

void StopAll(const std::vector<ChildProcess*>& children, Duration grace) {
  for (ChildProcess* child : children) child->SignalGroup(SIGTERM);
  const TimePoint deadline = Now() + grace;
  for (ChildProcess* child : children) child->WaitUntil(deadline);
  for (ChildProcess* child : children) {
    child->SignalGroup(SIGKILL);
    child->WaitUntil(kNever);
  }
}

std::optional<Duration> ProcessCpuTime(pid_t pid) {
  // schedstat counts nanoseconds, but per thread; sum them.
  std::error_code failure;
  Duration total{};
  bool any = false;
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  for (auto it = std::filesystem::directory_iterator(tasks, failure);
       !failure && it != std::filesystem::directory_iterator(); it.increment(failure)) {
    std::ifstream file(it->path() / "schedstat");
    long long on_cpu = 0;
    if (file >> on_cpu) {
      total += Duration{on_cpu};
      any = true;
    }
  }
  if (!any) return std::nullopt;
  return total;
}

}  // namespace stagger::cli
