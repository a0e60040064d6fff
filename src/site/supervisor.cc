#include "site/supervisor.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "wire/channel.h"
#include "wire/timers.h"

namespace stagger::cli {
namespace {

constexpr Duration kFirstBackoff = std::chrono::seconds{1};
constexpr Duration kLongestBackoff = std::chrono::seconds{30};
// An app that ran this long had started well: its next failure is a first one again.
constexpr Duration kSettled = std::chrono::seconds{60};
constexpr Duration kServiceStart = std::chrono::seconds{5};
constexpr Duration kStopGrace = std::chrono::seconds{5};
constexpr std::size_t kLongestLine = 8192;
constexpr Duration kFirstCulpritBackoff = std::chrono::seconds{30};
constexpr Duration kLongestCulpritBackoff = std::chrono::seconds{600};
constexpr Duration kLookEvery = std::chrono::seconds{1};
// A broken app usually ends by itself.
constexpr Duration kBrokenGrace = std::chrono::seconds{2};
// An app whose place is another now may have lost its device: then it usually ends by itself.
constexpr Duration kMovedGrace = std::chrono::seconds{1};
// Whatever the broken clients do then, a start is tried.
constexpr Duration kLongestHold = std::chrono::seconds{30};

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
  std::string waits_for;  // why it was not started; empty: it was

  pid_t pid = -1;                      // the latest process's, while and after it runs
  std::uint64_t judged = 0;            // the fault that explained an earlier end
  std::optional<ExitStatus> unjudged;  // it has ended, and why is not settled yet
  TimePoint judge_at = kNever;
  TimePoint stop_at = kNever;  // broken: when it is told to end
  bool stopping = false;       // it was
  int faults_caused = 0;
  std::string elsewhere;          // why it is to be elsewhere than where it started; empty: not so
  TimePoint restart_at = kNever;  // if it has not ended by itself by then
  bool moving = false;  // to another place: nothing that happened at the old one holds it up
  TimePoint held_until = kNever;

  bool retired = false;  // it is to end for good
  TimePoint kill_at = kNever;
  std::optional<Supervised> successor;  // started once it has
};

Duration Backoff(int failures) {
  Duration wait = kFirstBackoff;
  for (int i = 1; i < failures && wait < kLongestBackoff; ++i) wait *= 2;
  return std::min(wait, kLongestBackoff);
}

Duration CulpritBackoff(int times) {
  Duration wait = kFirstCulpritBackoff;
  for (int i = 1; i < times && wait < kLongestCulpritBackoff; ++i) wait *= 2;
  return std::min(wait, kLongestCulpritBackoff);
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
  app.next_start = app.restart_at = kNever;
  app.elsewhere.clear();
  if (hooks_.starting && app.serves.empty()) {
    if (const Result<void> may = hooks_.starting(app.name, &app.spec); !may) {
      if (app.waits_for != may.error().message) Say(app.name, "waits: " + may.error().message);
      app.waits_for = may.error().message;
      app.next_start = Now() + kFirstBackoff;
      return;
    }
    app.waits_for.clear();
  }
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
  app.pid = app.process->pid();
  app.stop_at = app.held_until = kNever;
  app.stopping = app.moving = false;
  Say(app.name, fmt::format("started, pid {}", app.process->pid()));
}

void Supervisor::Ended(App& app, const ExitStatus& status) {
  Forward(app);
  Write(stdout, app.out.Rest());
  Write(stderr, app.err.Rest());
  app.process.reset();
  if (app.retired) {
    Say(app.name, fmt::format("stopped ({})", ToString(status)));
    return;
  }
  if (status.ok() && !app.stopping) {
    app.finished = true;
    Say(app.name, "finished");
    if (hooks_.finished) hooks_.finished(app.name);
    return;
  }
  app.unjudged = status;
  app.judge_at = ask_faults_ ? Now() + wire::kFaultGather : Now();
}

// Why it ended decides when it comes back.
void Supervisor::Judge(App& app) {
  if (ask_faults_) LookForFaults();
  const ExitStatus status = *std::exchange(app.unjudged, std::nullopt);
  app.judge_at = kNever;
  if (HasMoved(app, status)) return;
  if (const GpuFault* fault = FaultOf(app)) {
    app.judged = fault->number;
    Duration wait = Backoff(1);
    if (fault->culprit == app.name) {
      wait = CulpritBackoff(++app.faults_caused);
    } else if (fault->culprit.empty()) {
      wait = Backoff(++app.failures);  // it may have been this one
    }
    app.next_start = Now() + wait;
    Say(app.name, fmt::format("ended by {} GPU fault ({}); again in {:.0f} s",
                              fault->culprit == app.name ? "its own" : "a", ToString(status),
                              ToMs(wait) / 1000));
    return;
  }
  if (Now() - app.started > kSettled) app.failures = 0;
  ++app.failures;
  app.next_start = Now() + Backoff(app.failures);
  Say(app.name, fmt::format("failed ({}); again in {:.0f} s", ToString(status),
                            ToMs(Backoff(app.failures)) / 1000));
}

// It need not wait where it no longer is: its device may be what failed.
bool Supervisor::HasMoved(App& app, const ExitStatus& status) {
  if (!app.moving) {
    if (app.elsewhere.empty()) return false;
    Say(app.name, fmt::format("ended ({}), and has another place now", ToString(status)));
  }
  if (const GpuFault* fault = FaultOf(app)) app.judged = fault->number;
  app.moving = true;
  app.next_start = Now();
  return true;
}

void Supervisor::Moved(const std::string& name, std::string why) {
  const auto app = std::ranges::find(apps_, name, &App::name);
  if (app == apps_.end()) return;
  app->restart_at = why.empty() || !hooks_.restart_moved ? kNever
                    : app->elsewhere.empty()             ? Now() + kMovedGrace
                                                         : app->restart_at;
  app->elsewhere = std::move(why);
}

void Supervisor::RestartMoved(App& app) {
  if (!app.process || app.retired) return;
  if (app.moving && app.stop_at <= Now()) {
    Say(app.name, "did not end within 5 s: killed");
    app.stop_at = kNever;
    app.process->SignalGroup(SIGKILL);
  } else if (!app.moving && !app.stopping && app.restart_at <= Now()) {
    Say(app.name, "is stopped, to start at its new place: " + app.elsewhere);
    app.stopping = app.moving = true;
    app.stop_at = Now() + kStopGrace;
    app.process->SignalGroup(SIGTERM);
  }
}

const GpuFault* Supervisor::FaultOf(const App& app) const {
  for (const GpuFault& fault : faults_) {
    if (fault.number <= app.judged) continue;
    for (const GpuFault::Stream& stream : fault.streams) {
      if (stream.pid == app.pid || stream.name == app.name) return &fault;
    }
  }
  return nullptr;
}

void Supervisor::LookForFaults() {
  next_look_ = Now() + kLookEvery;
  auto faults = ask_faults_();
  if (!faults) return;
  faults_ = std::move(*faults);
  for (const GpuFault& fault : faults_) {
    if (fault.number <= told_ || fault.age < wire::kFaultGather) continue;
    told_ = fault.number;
    std::string names;
    for (const GpuFault::Stream& stream : fault.streams) {
      names += (names.empty() ? "" : ", ") + stream.name;
    }
    Say(fault.device, fmt::format("a fault ({}{}) broke {}", fault.error,
                                  fault.culprit.empty() ? "" : " by " + fault.culprit, names));
  }
  for (App& app : apps_) {
    const GpuFault* fault = app.process && !app.moving ? FaultOf(app) : nullptr;
    if (fault != nullptr) StopBroken(app, *fault);
  }
}

// Every GPU call of its fails from now on, whether it minds or not.
void Supervisor::StopBroken(App& app, const GpuFault& fault) {
  const TimePoint now = Now();
  if (app.stop_at == kNever) app.stop_at = now + std::max(kBrokenGrace - fault.age, Duration{});
  if (now < app.stop_at) return;
  if (!app.stopping) {
    app.stopping = true;
    app.stop_at = now + kStopGrace;
    Say(app.name, "its GPU context is broken: stopping it");
    app.process->SignalGroup(SIGTERM);
  } else {
    Say(app.name, "did not end within 5 s: killed");
    app.stop_at = now + kStopGrace;
    app.process->SignalGroup(SIGKILL);
  }
}

bool Supervisor::MustWait(App& app) {
  if (!ask_faults_ || Now() >= app.held_until) return false;
  LookForFaults();
  for (const GpuFault& fault : faults_) {
    if (!fault.shared) continue;
    for (const GpuFault::Stream& stream : fault.streams) {
      if (!stream.present) continue;
      if (app.held_until == kNever) {
        app.held_until = Now() + kLongestHold;
        Say(app.name, fmt::format("waits until {} (pid {}), which the GPU fault broke, has ended",
                                  stream.name, stream.pid));
      }
      app.next_start = Now() + wire::kFaultGather;
      return true;
    }
  }
  return false;
}

void Supervisor::Retire(App& app) {
  const TimePoint now = Now();
  if (app.kill_at == kNever) {
    app.retired = true;
    app.next_start = app.judge_at = kNever;
    app.kill_at = now + kStopGrace;
    if (app.process) app.process->SignalGroup(SIGTERM);
  } else if (app.process && now >= app.kill_at) {
    Say(app.name, "did not end within 5 s: killed");
    app.kill_at = now + kStopGrace;
    app.process->SignalGroup(SIGKILL);
  }
}

void Supervisor::Reload() {
  Result<SiteChange> change = hooks_.reload();
  if (!change) {
    fmt::print(stderr, "stagger: reload: {}\nstagger: reload: nothing was changed\n",
               change.error().message);
    return;
  }
  for (const std::string& name : change->stop) {
    const auto app = std::ranges::find(apps_, name, &App::name);
    if (app != apps_.end() && !app->retired) Retire(*app);
  }
  for (Supervised& what : change->start) {
    const auto app = std::ranges::find(apps_, what.name, &App::name);
    if (app == apps_.end()) {
      Start(apps_.emplace_back(std::move(what)));
    } else {
      app->successor = std::move(what);  // of a retired one
    }
  }
  fmt::print(stderr, "stagger: reload: {} stopped, {} started, the others run on\n",
             change->stop.size(), change->start.size());
}

void Supervisor::Forward(App& app) {
  if (!app.process) return;
  app.out_open = app.out_open && Pass(app.process->out_fd(), &app.out, stdout);
  app.err_open = app.err_open && Pass(app.process->err_fd(), &app.err, stderr);
}

Duration Supervisor::Wait() const {
  TimePoint next = kNever;
  for (const App& app : apps_) {
    next = std::min({next, app.next_start, app.judge_at, app.kill_at});
    if (app.process && !app.stopping) next = std::min(next, app.restart_at);
    if (app.process && app.moving) next = std::min(next, app.stop_at);
  }
  if (ask_faults_) next = std::min(next, next_look_);
  if (hooks_.every_second) next = std::min(next, next_second_);
  return next == kNever ? Duration{std::chrono::hours{1}}
                        : std::max(next - Now(), Duration::zero());
}

Result<void> Supervisor::Run(ChildProcess* daemon) {
  for (App& app : apps_) {
    if (!app.serves.empty()) Start(app);
  }
  AwaitServices();
  if (hooks_.ready && !stop_.Raised()) {
    if (Result<void> ready = hooks_.ready(); !ready) {
      StopAll(true);
      return ready;
    }
  }
  for (App& app : apps_) {
    if (app.serves.empty()) Start(app);
  }
  LinePrefix daemon_log("staggerd | ");
  Result<void> result;
  while (!stop_.Raised()) {
    if (std::all_of(apps_.begin(), apps_.end(), [](const App& app) {
          return (app.finished && !app.successor) || !app.serves.empty();
        })) {
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
    if (hooks_.places_fd) entries.push_back({hooks_.places_fd(), POLLIN, 0});
    poll(entries.data(), entries.size(), static_cast<int>(ToMs(Wait())) + 1);
    if (hooks_.places_came) {
      for (auto& [name, why] : hooks_.places_came()) Moved(name, std::move(why));
    }
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
      } else if (app.judge_at <= Now()) {
        Judge(app);
      } else if (app.next_start <= Now() && (app.moving || !MustWait(app))) {
        Start(app);
      }
    }
    for (App& app : apps_) {
      RestartMoved(app);
      if (app.retired && app.process && app.kill_at <= Now()) Retire(app);
      if (!app.retired || app.process || !app.successor) continue;
      app = App(*std::exchange(app.successor, std::nullopt));
      Start(app);
    }
    std::erase_if(apps_, [](const App& app) { return app.retired && !app.process; });
    if (hooks_.reload && stop_.TakeReload()) Reload();
    if (ask_faults_ && next_look_ <= Now()) LookForFaults();
    if (hooks_.every_second && next_second_ <= Now()) {
      hooks_.every_second();
      next_second_ = Now() + kLookEvery;
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
