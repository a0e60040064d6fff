// One child process that leads its own process group. It dies when we do (parent-death signal, and
// the keeper for what it started itself), gets /dev/null as input, and is killed and reaped by the
// destructor at the latest.
// Not thread-safe; must be started on the main thread, which must live as long as the child.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "launch/app_environment.h"
#include "launch/keeper.h"

namespace stagger::cli {

struct ExitStatus {
  bool by_signal = false;
  int code = 0;         // exit code or signal number
  Duration cpu_time{};  // user and system, with what it waited for itself
  bool ok() const { return !by_signal && code == 0; }
};
// "exit code 3", "killed by signal 9 (Killed)"
std::string ToString(const ExitStatus& status);

struct ChildSpec {
  std::string path;               // what to execute
  std::vector<std::string> argv;  // with argv[0]
  Environment environment;        // set on top of ours
  // Where output goes: a file (made, emptied), a pipe to read here, or, with neither, ours.
  std::string out_file;
  std::string err_file;
  bool pipe_output = false;
  bool keep_input = false;     // it reads what we would; else nothing
  bool output_to_err = false;  // what it says on stdout goes to our stderr
};

class ChildProcess {
 public:
  // The error says why the program could not be executed.
  static Result<ChildProcess> Start(const ChildSpec& spec, Keeper& keeper);
  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  int exit_fd() const { return pidfd_.get(); }  // readable once it has ended
  int out_fd() const { return out_.get(); }
  int err_fd() const { return err_.get(); }

  // Set once it has ended; reaps it and kills what is left of its group.
  std::optional<ExitStatus> Poll();
  std::optional<ExitStatus> WaitUntil(TimePoint deadline);
  void SignalGroup(int signal);
  // User and system time so far, of a child that runs; nullopt where /proc does not tell.
  std::optional<Duration> CpuTime() const;

 private:
  ChildProcess() = default;
  void Kill();

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd out_;
  UniqueFd err_;
  Keeper* keeper_ = nullptr;
  std::optional<ExitStatus> status_;
};

// SIGTERM to every group, SIGKILL to those that still run after `grace`; all are reaped on return.
void StopAll(const std::vector<ChildProcess*>& children, Duration grace);

// CPU time of a process by number, from /proc; its finest clock.
std::optional<Duration> ProcessCpuTime(pid_t pid);

}  // namespace stagger::cli
