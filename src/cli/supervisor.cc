#include "cli/supervisor.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>

#include "base/clock.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr Duration kFirstBackoff = std::chrono::seconds{1};
constexpr Duration kLongestBackoff = std::chrono::seconds{30};
// An app that ran this long had started well: its next failure is a first one again.
constexpr Duration kSettled = std::chrono::seconds{60};
constexpr Duration kServiceStart = std::chrono::seconds{5};
constexpr Duration kStopGrace = std::chrono::seconds{5};
constexpr std::size_t kLongestLine = 8192;

void Say(const std::string& name, const std::string& what) {
  fmt::print(stderr, "stagger: {}: {}\n", name, what);
}

void Write(FILE* to, const std::string& text) {
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

// Passes on what there is; false once the other end is closed.
bool Pass(int fd, LinePrefix* prefix, FILE* to) {
  char buffer[16384];
  // Bounded: one that never stops talking must not keep the others waiting.
  for (int i = 0; i < 16; ++i) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count == 0) return false;
    if (count < 0) return true;
    Write(to, prefix->Add({buffer, static_cast<std::size_t>(count)}));
  }
  return true;
}

}  // namespace

struct Supervisor::App {
  explicit App(Supervised what)
      : name(std::move(what.name)),
        spec(std::move(what.spec)),
        serves(std::move(what.serves)),
        out(name + " | "),
        err(name + " | ") {}

  std::string name;
  ChildSpec spec;
  std::string serves;
  std::optional<ChildProcess> process;
  LinePrefix out;
  LinePrefix err;
  bool out_open = true;
  bool err_open = true;
  TimePoint started;
  TimePoint next_start = kNever;  // when it is to be started again
  int failures = 0;
  bool finished = false;
};

Duration Backoff(int failures) {
  Duration wait = kFirstBackoff;
  for (int i = 1; i < failures && wait < kLongestBackoff; ++i) wait *= 2;
  return std::min(wait, kLongestBackoff);
}

std::string LinePrefix::Add(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c != '\n') pending_ += c;
    if (c == '\n' || pending_.size() >= kLongestLine) {
      text += prefix_ + pending_ + "\n";
      pending_.clear();
    }
  }
  return text;
}

std::string LinePrefix::Rest() {
  if (pending_.empty()) return "";
  return Add("\n");
}

Supervisor::Supervisor(std::vector<Supervised> apps, Keeper& keeper, StopSignal& stop)
    : keeper_(keeper), stop_(stop) {
  for (Supervised& app : apps) apps_.emplace_back(std::move(app));
}

Supervisor::~Supervisor() = default;

void Supervisor::Start(App& app) {
  app.started = Now();
  app.next_start = kNever;
  Result<ChildProcess> process = ChildProcess::Start(app.spec, keeper_);
  if (!process) {
    ++app.failures;
    app.next_start = Now() + Backoff(app.failures);
    Say(app.name, fmt::format("{}; again in {:.0f} s", process.error().message,
                              ToMs(Backoff(app.failures)) / 1000));
    return;
  }
  app.process.emplace(std::move(process).value());
  app.out_open = app.err_open = true;
  Say(app.name, fmt::format("started, pid {}", app.process->pid()));
}

void Supervisor::Ended(App& app, const ExitStatus& status) {
  Forward(app);
  Write(stdout, app.out.Rest());
  Write(stderr, app.err.Rest());
  app.process.reset();
  if (status.ok()) {
    app.finished = true;
    Say(app.name, "finished");
    return;
  }
  if (Now() - app.started > kSettled) app.failures = 0;
  ++app.failures;
  app.next_start = Now() + Backoff(app.failures);
  Say(app.name, fmt::format("failed ({}); again in {:.0f} s", ToString(status),
                            ToMs(Backoff(app.failures)) / 1000));
}

void Supervisor::Forward(App& app) {
  if (!app.process) return;
  app.out_open = app.out_open && Pass(app.process->out_fd(), &app.out, stdout);
  app.err_open = app.err_open && Pass(app.process->err_fd(), &app.err, stderr);
}

Duration Supervisor::Wait() const {
  TimePoint next = kNever;
  for (const App& app : apps_) next = std::min(next, app.next_start);
  return next == kNever ? Duration{std::chrono::hours{1}}
                        : std::max(next - Now(), Duration::zero());
}

Result<void> Supervisor::Run(ChildProcess* daemon) {
  for (App& app : apps_) {
    if (!app.serves.empty()) Start(app);
  }
  AwaitServices();
  for (App& app : apps_) {
    if (app.serves.empty()) Start(app);
  }
  LinePrefix daemon_log("staggerd | ");
  Result<void> result;
  while (!stop_.Raised()) {
    if (std::all_of(apps_.begin(), apps_.end(),
                    [](const App& app) { return app.finished || !app.serves.empty(); })) {
      break;
    }
    std::vector<pollfd> entries{{stop_.fd(), POLLIN, 0}};
    if (daemon != nullptr) {
      entries.push_back({daemon->exit_fd(), POLLIN, 0});
      entries.push_back({daemon->err_fd(), POLLIN, 0});
    }
    for (const App& app : apps_) {
      if (!app.process) continue;
      entries.push_back({app.process->exit_fd(), POLLIN, 0});
      // poll skips -1: a closed pipe would be "ready" for ever.
      entries.push_back({app.out_open ? app.process->out_fd() : -1, POLLIN, 0});
      entries.push_back({app.err_open ? app.process->err_fd() : -1, POLLIN, 0});
    }
    poll(entries.data(), entries.size(), static_cast<int>(ToMs(Wait())) + 1);
    if (daemon != nullptr) {
      Pass(daemon->err_fd(), &daemon_log, stderr);
      if (const std::optional<ExitStatus> status = daemon->Poll()) {
        result = Error{fmt::format("the daemon ended ({})", ToString(*status))};
        break;
      }
    }
    for (App& app : apps_) {
      Forward(app);
      if (app.process) {
        if (const std::optional<ExitStatus> status = app.process->Poll()) Ended(app, *status);
      } else if (app.next_start <= Now()) {
        Start(app);
      }
    }
  }
  StopAll(false);
  StopAll(true);
  if (daemon != nullptr) Pass(daemon->err_fd(), &daemon_log, stderr);
  return result;
}

// One that does not come in time: apps do without it, and say so.
void Supervisor::AwaitServices() {
  const TimePoint deadline = Now() + kServiceStart;
  for (App& app : apps_) {
    while (!app.serves.empty() && app.process && !stop_.Raised() && Now() < deadline &&
           !wire::Connect(app.serves)) {
      Forward(app);
      if (const std::optional<ExitStatus> status = app.process->Poll()) {
        Ended(app, *status);
        break;
      }
      usleep(5'000);
    }
  }
}

void Supervisor::StopAll(bool services) {
  for (App& app : apps_) {
    if (app.process && app.serves.empty() != services) app.process->SignalGroup(SIGTERM);
  }
  // Their output is read until the end: an app that cannot write its last words would not end.
  const TimePoint deadline = Now() + kStopGrace;
  bool running = true;
  while (running && Now() < deadline) {
    running = false;
    for (App& app : apps_) {
      if (app.serves.empty() == services) continue;
      Forward(app);
      if (!app.process) continue;
      if (app.process->Poll()) {
        Forward(app);
        Write(stdout, app.out.Rest());
        Write(stderr, app.err.Rest());
        app.process.reset();
      } else {
        running = true;
      }
    }
    if (running) usleep(10'000);
  }
  for (App& app : apps_) {
    if (!app.process || app.serves.empty() == services) continue;
    Say(app.name, "did not end within 5 s: killed");
    app.process.reset();
  }
}

}  // namespace stagger::cli
