#include "site/supervisor.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kLongestLine = 8192;
constexpr Duration kLookEvery = std::chrono::seconds{1};
constexpr Duration kListensEvery = std::chrono::milliseconds{5};

void Write(FILE* to, const std::string& text) {
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

// What comes through a pipe, passed on line by line.
struct Output {
  LinePrefix prefix;
  FILE* to;
  bool open = true;

  void Pass(int fd) {
    char buffer[16384];
    // Bounded: one that never stops talking must not keep the others waiting.
    for (int i = 0; open && i < 16; ++i) {
      const ssize_t count = read(fd, buffer, sizeof buffer);
      if (count < 0) return;
      open = count > 0;
      Write(to, prefix.Add({buffer, static_cast<std::size_t>(count)}));
    }
  }
  // poll skips -1: a closed pipe would be "ready" for ever.
  pollfd Entry(int fd) const { return {open ? fd : -1, POLLIN, 0}; }
};

bool IsAwaited(const life::App& app) { return app.state == life::State::kComes; }

template <typename Is>
std::vector<std::string> NamesOf(const life::SiteLife& site, Is is) {
  std::vector<std::string> names;
  for (const life::App& app : site.apps()) {
    if (is(app)) names.push_back(app.name);
  }
  return names;
}

}  // namespace

struct Supervisor::Child {
  explicit Child(Supervised what)
      : spec(std::move(what.spec)),
        serves(std::move(what.serves)),
        out{LinePrefix(what.name + " | "), stdout},
        err{LinePrefix(what.name + " | "), stderr} {}

  void Pass() {
    out.Pass(process->out_fd());
    err.Pass(process->err_fd());
  }

  ChildSpec spec;
  std::string serves;
  std::optional<ChildProcess> process;
  Output out;
  Output err;
};

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
  for (Supervised& app : apps) {
    (app.serves.empty() ? begin_.apps : begin_.services).push_back(app.name);
    children_.emplace(app.name, std::move(app));
  }
}

Supervisor::~Supervisor() = default;

Result<void> Supervisor::Run(ChildProcess* daemon) {
  begin_.watches_faults = ask_faults_ != nullptr;
  begin_.restart_moved = hooks_.restart_moved;
  Output daemon_log{LinePrefix("staggerd | "), stderr};
  Happens(begin_);
  while (!life_.IsOver()) {
    Wait(daemon);
    HearOfPlaces();
    if (stop_.Raised()) Happens(life::Stop{});
    if (daemon != nullptr) {
      daemon_log.Pass(daemon->err_fd());
      if (const std::optional<ExitStatus> status = daemon->Poll()) {
        result_ = Error{fmt::format("the daemon ended ({})", ToString(*status))};
        daemon = nullptr;
        Happens(life::Stop{});
      }
    }
    for (auto& [name, child] : children_) {
      if (!child.process) continue;
      child.Pass();
      const std::optional<ExitStatus> status = child.process->Poll();
      if (!status) continue;
      child.Pass();
      Write(child.out.to, child.out.prefix.Rest());
      Write(child.err.to, child.err.prefix.Rest());
      child.process.reset();
      Happens(life::Ended{name, status->ok(), ToString(*status)});
    }
    for (const std::string& name : NamesOf(life_, IsAwaited)) {
      if (wire::Connect(children_.at(name).serves)) Happens(life::Listens{name});
    }
    if (life_.Goes() && hooks_.reload && stop_.TakeReload()) Reload();
    if (life_.Goes() && next_second_ <= Now()) {
      if (hooks_.every_second) hooks_.every_second();
      Look();
      next_second_ = Now() + kLookEvery;
    }
    Happens(life::Tick{});
  }
  if (daemon != nullptr) daemon_log.Pass(daemon->err_fd());
  return result_;
}

void Supervisor::Wait(ChildProcess* daemon) {
  std::vector<pollfd> entries{{stop_.fd(), POLLIN, 0}};
  if (daemon != nullptr) {
    entries.push_back({daemon->exit_fd(), POLLIN, 0});
    entries.push_back({daemon->err_fd(), POLLIN, 0});
  }
  for (const auto& [name, child] : children_) {
    if (!child.process) continue;
    entries.push_back({child.process->exit_fd(), POLLIN, 0});
    entries.push_back(child.out.Entry(child.process->out_fd()));
    entries.push_back(child.err.Entry(child.process->err_fd()));
  }
  if (hooks_.places_fd) entries.push_back({hooks_.places_fd(), POLLIN, 0});
  const TimePoint now = Now();
  TimePoint next = std::min(life_.Deadline(), now + std::chrono::hours{1});
  if (!NamesOf(life_, IsAwaited).empty()) next = std::min(next, now + kListensEvery);
  if (life_.Goes() && (hooks_.every_second || ask_faults_)) next = std::min(next, next_second_);
  const Duration wait = std::max(next - now, Duration{});
  poll(entries.data(), entries.size(), static_cast<int>(ToMs(wait)) + (wait > Duration{} ? 1 : 0));
}

void Supervisor::Happens(const life::Event& event) {
  for (const life::Action& action : life_.Step(event, Now())) Perform(action);
}

void Supervisor::Perform(const life::Action& action) {
  if (const auto* say = std::get_if<life::Say>(&action)) {
    fmt::print(stderr, "stagger: {}: {}\n", say->who, say->what);
  } else if (const auto* start = std::get_if<life::Start>(&action)) {
    Start(start->app);
  } else if (const auto* signal = std::get_if<life::Signal>(&action)) {
    children_.at(signal->app).process->SignalGroup(signal->kill ? SIGKILL : SIGTERM);
  } else if (const auto* done = std::get_if<life::Done>(&action)) {
    if (hooks_.finished) hooks_.finished(done->app);
  } else if (std::holds_alternative<life::Look>(action)) {
    Look();
  } else if (hooks_.ready) {
    result_ = hooks_.ready();
    result_ ? Happens(life::Go{}) : Happens(life::Stop{});
  } else {
    Happens(life::Go{});
  }
}

void Supervisor::Start(const std::string& name) {
  Child& child = children_.at(name);
  if (hooks_.starting && child.serves.empty()) {
    if (const Result<void> may = hooks_.starting(name, &child.spec); !may) {
      return Happens(life::Refused{name, may.error().message});
    }
  }
  Result<ChildProcess> process = ChildProcess::Start(child.spec, keeper_);
  if (!process) return Happens(life::NotStarted{name, process.error().message});
  child.process.emplace(std::move(process).value());
  child.out.open = child.err.open = true;
  Happens(life::Started{name, child.process->pid()});
}

void Supervisor::HearOfPlaces() {
  if (!hooks_.places_came) return;
  for (const auto& [name, why] : hooks_.places_came()) Happens(life::Moved{name, why});
}

// What the daemon knows of places and faults.
void Supervisor::Look() {
  HearOfPlaces();
  Happens(life::Heard{ask_faults_ ? ask_faults_() : std::nullopt});
}

void Supervisor::Reload() {
  Result<SiteChange> change = hooks_.reload();
  if (!change) {
    fmt::print(stderr, "stagger: reload: {}\nstagger: reload: nothing was changed\n",
               change.error().message);
    return;
  }
  life::Reloaded reloaded{change->stop, {}};
  for (Supervised& what : change->start) {
    reloaded.start.push_back(what.name);
    // The process that is to end first needs it no more.
    const auto [child, is_new] = children_.try_emplace(what.name, what);
    if (!is_new) child->second.spec = std::move(what.spec);
  }
  Happens(reloaded);
  fmt::print(stderr, "stagger: reload: {} stopped, {} started, the others run on\n",
             change->stop.size(), change->start.size());
}

}  // namespace stagger::cli
