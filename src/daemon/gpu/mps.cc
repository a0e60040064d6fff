#include "daemon/gpu/mps.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/clock.h"
#include "base/try.h"
#include "daemon/loop/peer.h"
#include "wire/timers.h"

namespace stagger::daemon {
namespace {

constexpr const char* kProgram = "nvidia-cuda-mps-control";
constexpr const char* kPidFile = "/nvidia-cuda-mps-control.pid";
constexpr const char* kTheirFolder = "/tmp/nvidia-mps";  // NVIDIA's default
constexpr Duration kFirstBackoff = std::chrono::milliseconds{500};
constexpr Duration kLongestBackoff = std::chrono::seconds{30};
constexpr Duration kSettled = std::chrono::seconds{60};  // ran so long: its next end is a first one

// The control daemon that serves this folder; 0: none does. A number in an old file may by now be
// that of any process.
pid_t ControlIn(const std::string& pipe_folder) {
  std::ifstream file(pipe_folder + kPidFile);
  pid_t pid = 0;
  if (!(file >> pid) || pid <= 1) return 0;
  return CommOf(pid).starts_with("nvidia-cuda-mps") ? pid : 0;
}

std::string LastLineOf(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line.substr(0, 300);
  }
  return Printable(last);
}

}  // namespace

const char* ToString(MpsMode mode) {
  switch (mode) {
    case MpsMode::kOff:
      return "off";
    case MpsMode::kAuto:
      return "auto";
    case MpsMode::kOn:
      return "on";
  }
  return "";
}

const char* ToString(Mps::State state) {
  switch (state) {
    case Mps::State::kOff:
      return "off";
    case Mps::State::kStarting:
      return "starting";
    case Mps::State::kRunning:
      return "running";
    case Mps::State::kDown:
      return "down";
  }
  return "";
}

Mps::Mps(EventLoop* loop, MpsMode mode, const std::string& socket, std::string no_gpu)
    : loop_(loop), folder_(socket + ".mps"), no_gpu_(std::move(no_gpu)) {
  facts_.mode = mode;
  facts_.since = Now();
  facts_.reason = "not asked for";
}

Result<std::unique_ptr<Mps>> Mps::Create(EventLoop* loop, MpsMode mode, const std::string& socket,
                                         std::string no_gpu) {
  std::unique_ptr<Mps> mps(new Mps(loop, mode, socket, std::move(no_gpu)));
  mps->timer_ = STAGGER_TRY(Timer::Create(loop, [raw = mps.get()] { raw->OnTimer(); }));
  return mps;
}

Mps::~Mps() { Forget(); }

void Mps::Forget() {
  if (launcher_watch_ != 0) loop_->Unwatch(std::exchange(launcher_watch_, 0));
  if (control_watch_ != 0) loop_->Unwatch(std::exchange(control_watch_, 0));
  launcher_ = {};
  control_.Reset();
  due_ = kNever;
}

void Mps::EnterState(State state, std::string reason) {
  facts_.state = state;
  facts_.reason = std::move(reason);
  facts_.since = Now();
  if (state != State::kRunning) facts_.pid = 0;
}

void Mps::Decide(Result<void> outcome) {
  if (settled_) std::exchange(settled_, nullptr)(std::move(outcome));
}

void Mps::Start(std::function<void(Result<void>)> settled) {
  settled_ = std::move(settled);
  if (facts_.mode == MpsMode::kOff) return Decide({});
  if (!no_gpu_.empty()) return CannotStart("there is no GPU (" + no_gpu_ + ")");
  EnterState(State::kStarting, "");
  FindOrLaunch();
}

void Mps::FindOrLaunch() {
  if (Adopt(folder_ + "/pipe", true)) return;
  const char* theirs = std::getenv("CUDA_MPS_PIPE_DIRECTORY");
  if (Adopt(theirs != nullptr && *theirs != '\0' ? theirs : kTheirFolder, false)) return;
  Launch();
}

bool Mps::Adopt(const std::string& pipe_folder, bool ours) {
  const pid_t pid = ControlIn(pipe_folder);
  if (pid == 0) return false;
  UniqueFd control = WatchProcess(pid);
  // One that has ended may stay in the list of processes until somebody reaps it.
  pollfd ended{control.get(), POLLIN, 0};
  if (!control.valid() || poll(&ended, 1, 0) != 0) return false;
  auto watch = loop_->Watch(control.get(), EPOLLIN, [this](std::uint32_t) { ControlEnded(); });
  if (!watch) return false;
  control_ = std::move(control);
  control_watch_ = *watch;
  program_ = InPath(kProgram);
  EnterState(State::kRunning, "");
  facts_.pid = pid;
  facts_.ours = ours;
  facts_.pipe_folder = pipe_folder;
  facts_.log_folder = ours ? folder_ + "/log" : "";
  if (ours) {
    spdlog::info("MPS runs: control daemon pid {}, pipes in {}", pid, pipe_folder);
  } else {
    spdlog::info("MPS runs already: control daemon pid {}, pipes in {}; it is not ours to stop",
                 pid, pipe_folder);
  }
  Decide({});
  return true;
}

Result<Spawned> Mps::Ask(const std::vector<std::string>& arguments, const std::string& input) {
  SpawnSpec spec;
  spec.path = program_;
  spec.argv = {kProgram};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  spec.environment = {{"CUDA_MPS_PIPE_DIRECTORY", folder_ + "/pipe"},
                      {"CUDA_MPS_LOG_DIRECTORY", folder_ + "/log"}};
  spec.input = input;
  spec.output = folder_ + "/said";
  return Spawn(spec);
}

void Mps::Launch() {
  program_ = InPath(kProgram);
  if (program_.empty()) return CannotStart(std::string(kProgram) + " is not in PATH");
  std::error_code failure;
  for (const char* part : {"", "/pipe", "/log"}) {
    std::filesystem::create_directories(folder_ + part, failure);
    if (!failure) {
      std::filesystem::permissions(folder_ + part, std::filesystem::perms::owner_all, failure);
    }
    if (failure) return CannotStart("cannot make " + folder_ + part + ": " + failure.message());
  }
  // One of ours that crashed leaves it, and what is read after the launch must be new.
  std::filesystem::remove(folder_ + "/pipe" + kPidFile, failure);
  auto launcher = Ask({"-d"}, "");
  if (!launcher) return CannotStart(launcher.error().message);
  auto watch = loop_->Watch(launcher->ended.get(), EPOLLIN, [this](std::uint32_t) { Launched(); });
  if (!watch) return CannotStart(watch.error().message);
  launcher_ = std::move(launcher).value();
  launcher_watch_ = *watch;
  due_ = Now() + wire::kMpsLaunchLimit;
  timer_->ArmBy(due_);
}

// The program goes into the background; its first process ends when clients may come.
void Mps::Launched() {
  const std::optional<int> code = ExitCodeOf(launcher_);
  if (!code) return;
  Forget();
  if (*code != 0) {
    const std::string said = LastLineOf(folder_ + "/said");
    return CannotStart(fmt::format("{} -d failed (exit code {}){}{}", kProgram, *code,
                                   said.empty() ? "" : ": ", said));
  }
  if (Adopt(folder_ + "/pipe", true)) return;
  CannotStart(fmt::format("{} -d left no control daemon in {}/pipe", kProgram, folder_));
}

void Mps::CannotStart(const std::string& why) {
  ++failures_;
  if (settled_) {  // never had it
    EnterState(State::kOff, why);
    if (facts_.mode == MpsMode::kOn) {
      return Decide(Error{"mps on: " + why + "; expected a GPU and NVIDIA's " + kProgram +
                          ", or mps auto or off"});
    }
    spdlog::info("no MPS: {}", why);
    return Decide({});
  }
  Duration wait = kFirstBackoff;
  for (int i = 1; i < failures_ && wait < kLongestBackoff; ++i) wait *= 2;
  wait = std::min(wait, kLongestBackoff);
  EnterState(State::kDown, why);
  spdlog::warn("MPS is down: {}; again in {:.1f} s", why, ToMs(wait) / 1000);
  due_ = Now() + wait;
  timer_->ArmBy(due_);
}

void Mps::ControlEnded() {
  const pid_t pid = facts_.pid;
  if (Now() - facts_.since > kSettled) failures_ = 0;
  Forget();
  if (stopped_) return FinishStop();
  ++facts_.restarts;
  CannotStart(fmt::format("the control daemon (pid {}) ended", pid));
}

void Mps::OnTimer() {
  if (due_ > Now()) return timer_->ArmBy(due_);
  due_ = kNever;
  if (stopped_) {
    spdlog::warn("MPS's control daemon (pid {}) was told to quit and goes on: clients still use it",
                 facts_.pid);
    return FinishStop();
  }
  if (launcher_watch_ != 0) {
    kill(launcher_.pid, SIGKILL);
    loop_->Unwatch(std::exchange(launcher_watch_, 0));
    // Reaped by init's adoption at our end at the latest; usually right here.
    (void)ExitCodeOf(launcher_);
    launcher_ = {};
    return CannotStart(fmt::format("{} -d did not come back within {:.0f} s", kProgram,
                                   ToMs(wire::kMpsLaunchLimit) / 1000));
  }
  if (facts_.state == State::kDown) {
    EnterState(State::kStarting, facts_.reason);
    FindOrLaunch();
  }
}

void Mps::Stop(std::function<void()> done) {
  stopped_ = std::move(done);
  settled_ = nullptr;
  if (launcher_watch_ != 0) kill(launcher_.pid, SIGKILL);
  if (facts_.state != State::kRunning || !facts_.ours) return FinishStop();
  auto asked = program_.empty() ? Result<Spawned>(Error{std::string(kProgram) + " is gone"})
                                : Ask({}, "quit\n");
  if (!asked) {
    spdlog::warn("MPS goes on, pid {}: {}", facts_.pid, asked.error().message);
    return FinishStop();
  }
  launcher_ = std::move(asked).value();  // its end is not waited for: the control daemon's is
  due_ = Now() + wire::kMpsQuitLimit;
  timer_->ArmBy(due_);
}

void Mps::FinishStop() {
  const bool over = !control_.valid();
  Forget();
  if (over && facts_.ours) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_ + "/pipe", ignored);
  }
  EnterState(State::kOff, "the daemon leaves");
  if (stopped_) std::exchange(stopped_, nullptr)();
}

}  // namespace stagger::daemon
