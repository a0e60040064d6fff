#include "site/app_life.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "wire/timers.h"

namespace stagger::cli::life {
namespace {

constexpr Duration kFirstBackoff = std::chrono::seconds{1};
constexpr Duration kLongestBackoff = std::chrono::seconds{30};
constexpr Duration kFirstCulpritBackoff = std::chrono::seconds{30};
constexpr Duration kLongestCulpritBackoff = std::chrono::seconds{600};
// An app that ran this long had started well: its next failure is a first one again.
constexpr Duration kSettled = std::chrono::seconds{60};
constexpr Duration kServiceStart = std::chrono::seconds{5};
constexpr Duration kStopGrace = std::chrono::seconds{5};
// A broken app usually ends by itself, and so does one that has lost its device.
constexpr Duration kBrokenGrace = std::chrono::seconds{2};
constexpr Duration kMovedGrace = std::chrono::seconds{1};
// Whatever the broken clients do then, a start is tried.
constexpr Duration kLongestHold = std::chrono::seconds{30};

// After `times` failures in a row.
Duration Pause(int times, Duration first, Duration longest) {
  Duration pause = first;
  for (int i = 1; i < times && pause < longest; ++i) pause *= 2;
  return std::min(pause, longest);
}
Duration Backoff(int failures) { return Pause(failures, kFirstBackoff, kLongestBackoff); }

bool Names(const GpuFault& fault, const App& app) {
  return std::ranges::any_of(fault.streams, [&app](const GpuFault::Stream& stream) {
    return stream.pid == app.pid || stream.name == app.name;
  });
}

// A client that a fault broke for all of its GPU, and that still runs.
const GpuFault::Stream* StillBroken(const std::vector<GpuFault>& faults) {
  for (const GpuFault& fault : faults) {
    const auto found = std::ranges::find(fault.streams, true, &GpuFault::Stream::present);
    if (fault.shared && found != fault.streams.end()) return &*found;
  }
  return nullptr;
}

}  // namespace

std::vector<Action> SiteLife::Step(const Event& event, TimePoint now) {
  now_ = now;
  std::visit(
      [this](const auto& happened) {
        if constexpr (requires { happened.app; }) {
          if (App* app = Find(happened.app)) On(*app, happened);
        } else {
          On(happened);
        }
      },
      event);
  Advance();
  return std::exchange(actions_, {});
}

TimePoint SiteLife::Deadline() const {
  TimePoint next = kNever;
  for (const App& app : apps_) next = std::min(next, app.deadline);
  return next;
}

// ---- Events ----

void SiteLife::On(const Begin& event) {
  gather_ = event.watches_faults ? wire::kFaultGather : Duration{};
  restart_moved_ = event.restart_moved;
  for (const std::string& name : event.services) {
    StartNow(apps_.emplace_back(App{.name = name, .service = true}));
  }
  for (const std::string& name : event.apps) apps_.push_back({.name = name});
}

void SiteLife::On(const Go& /*event*/) {
  if (phase_ != Phase::kReady) return;
  phase_ = Phase::kApps;
  for (App& app : apps_) {
    if (!app.service) Enter(app, State::kDue, Duration{});
  }
}

void SiteLife::On(App& app, const Started& event) {
  app.pid = event.pid;
  app.elsewhere.clear();
  app.waits_for.clear();
  Tell(app, fmt::format("started, pid {}", event.pid));
  if (phase_ == Phase::kServices) {
    Enter(app, State::kComes, kServiceStart);
  } else {
    Enter(app, State::kRuns, kSettled);
  }
}

void SiteLife::On(App& app, const Refused& event) {
  if (app.waits_for != event.why) Tell(app, "waits: " + event.why);
  app.waits_for = event.why;
  Enter(app, State::kDue, kFirstBackoff);
}

void SiteLife::On(App& app, const NotStarted& event) {
  app.waits_for.clear();
  Again(app, event.why, Backoff(++app.failures));
}

void SiteLife::On(App& app, const Listens& /*event*/) {
  if (app.state == State::kComes) Enter(app, State::kRuns, kSettled);
}

void SiteLife::On(App& app, const Ended& event) {
  if (app.next == Next::kNothing || app.next == Next::kFresh) {
    if (Goes()) Tell(app, fmt::format("stopped ({})", event.how));
    Leave(app);
  } else if (app.next == Next::kElsewhere) {
    Enter(app, State::kDue, gather_);
  } else if (event.ok && app.state != State::kStops) {
    Enter(app, State::kFinished);
    Tell(app, "finished");
    actions_.emplace_back(Done{app.name});
  } else {
    app.how = event.how;
    Enter(app, State::kEnded, gather_);
  }
}

void SiteLife::On(App& app, const Moved& event) {
  if (app.next == Next::kElsewhere) return;
  app.elsewhere = event.why;
  const bool leaves = !event.why.empty() && restart_moved_;
  if (app.state == State::kRuns && leaves) Enter(app, State::kMoved, kMovedGrace);
  if (app.state == State::kMoved && !leaves) Enter(app, State::kRuns, kSettled);
}

void SiteLife::On(const Heard& event) {
  if (event.faults) faults_ = *event.faults;
  for (const GpuFault& fault : faults_) {
    if (fault.number <= told_ || fault.age < wire::kFaultGather) continue;
    told_ = fault.number;
    std::string names;
    for (const GpuFault::Stream& stream : fault.streams) {
      names += (names.empty() ? "" : ", ") + stream.name;
    }
    actions_.emplace_back(
        Say{fault.device, fmt::format("a fault ({}{}) broke {}", fault.error,
                                      fault.culprit.empty() ? "" : " by " + fault.culprit, names)});
  }
  for (App& app : apps_) {
    const GpuFault* fault = app.state == State::kRuns ? FaultOf(app) : nullptr;
    // Every GPU call of its fails from now on, whether it minds or not.
    if (fault != nullptr) {
      Enter(app, State::kBroken, std::max(kBrokenGrace - fault->age, Duration{}));
    }
  }
  for (App& app : apps_) {
    if (app.state == State::kEnded && app.deadline <= now_) Judge(app);
  }
  for (App& app : apps_) {
    const bool due = app.state == State::kDue && app.deadline <= now_;
    if (due || app.state == State::kHeld) StartUnlessHeld(app);
  }
}

void SiteLife::On(const Reloaded& event) {
  if (!Goes()) return;
  for (const std::string& name : event.stop) {
    App* app = Find(name);
    if (app == nullptr) continue;
    app->next = Next::kNothing;
    if (app->has_process()) TellToEnd(*app);
  }
  for (const std::string& name : event.start) {
    if (App* app = Find(name)) {
      app->next = Next::kFresh;
    } else {
      Enter(apps_.emplace_back(App{.name = name}), State::kDue, Duration{});
    }
  }
  for (App& app : apps_) {
    if (app.next >= Next::kNothing && !app.has_process()) Leave(app);
  }
}

void SiteLife::On(const Stop& /*event*/) {
  if (phase_ >= Phase::kStopApps) return;
  phase_ = Phase::kStopApps;
  for (App& app : apps_) {
    app.next = Next::kNothing;
    if (!app.has_process()) {
      Leave(app);
    } else if (!app.service) {
      TellToEnd(app);
    }
  }
}

void SiteLife::On(const Tick& /*event*/) {
  bool look = false;
  for (App& app : apps_) {
    if (app.deadline > now_) continue;
    switch (app.state) {
      case State::kComes:
        Enter(app, State::kRuns, kSettled);
        break;
      case State::kRuns:
        app.failures = 0;
        Enter(app, State::kRuns);
        break;
      case State::kMoved:
        Tell(app, "is stopped, to start at its new place: " + app.elsewhere);
        app.next = Next::kElsewhere;
        TellToEnd(app);
        break;
      case State::kBroken:
        Tell(app, "its GPU context is broken: stopping it");
        TellToEnd(app);
        break;
      case State::kStops:
        Tell(app, "did not end within 5 s: killed");
        actions_.emplace_back(Signal{app.name, true});
        Enter(app, State::kStops, kStopGrace);
        break;
      default:
        look = true;
    }
  }
  if (look) actions_.emplace_back(Look{});
}

// ---- What follows ----

// Why it ended decides when it comes back.
void SiteLife::Judge(App& app) {
  const GpuFault* fault = FaultOf(app);
  if (!app.elsewhere
           .empty()) {  // it need not wait where it no longer is: its device may be what failed
    Tell(app, fmt::format("ended ({}), and has another place now", app.how));
    Enter(app, State::kDue, Duration{});
  } else if (fault == nullptr) {
    Again(app, fmt::format("failed ({})", app.how), Backoff(++app.failures));
  } else if (fault->culprit == app.name) {
    Again(app, fmt::format("ended by its own GPU fault ({})", app.how),
          Pause(++app.faults_caused, kFirstCulpritBackoff, kLongestCulpritBackoff));
  } else {
    // Where the culprit is not known it may have been this one.
    Again(app, fmt::format("ended by a GPU fault ({})", app.how),
          Backoff(fault->culprit.empty() ? ++app.failures : 1));
  }
}

void SiteLife::Again(App& app, const std::string& why, Duration pause) {
  Tell(app, fmt::format("{}; again in {:.0f} s", why, ToMs(pause) / 1000));
  Enter(app, State::kDue, pause);
}

void SiteLife::StartUnlessHeld(App& app) {
  if (const GpuFault::Stream* broken = app.elsewhere.empty() ? StillBroken(faults_) : nullptr) {
    if (app.state == State::kDue) {
      Tell(app, fmt::format("waits until {} (pid {}), which the GPU fault broke, has ended",
                            broken->name, broken->pid));
      Enter(app, State::kHeld, kLongestHold);
    }
    if (now_ < app.deadline) return;
  }
  StartNow(app);
}

void SiteLife::StartNow(App& app) {
  for (const GpuFault& fault : faults_) {
    if (Names(fault, app)) app.known_fault = fault.number;
  }
  app.next = Next::kJudged;
  Enter(app, State::kStarting);
  actions_.emplace_back(Start{app.name});
}

void SiteLife::TellToEnd(App& app) {
  actions_.emplace_back(Signal{app.name});
  Enter(app, State::kStops, kStopGrace);
}

// It is not to go on, and has no process any more.
void SiteLife::Leave(App& app) {
  if (app.next == Next::kFresh) {
    app = App{.name = app.name};
    Enter(app, State::kDue, Duration{});
  } else {
    Enter(app, State::kFinished);
  }
}

void SiteLife::Advance() {
  std::erase_if(apps_, [](const App& app) {
    return app.state == State::kFinished && app.next == Next::kNothing;
  });
  const auto any = [this](bool services, auto is) {
    return std::ranges::any_of(apps_,
                               [&](const App& app) { return app.service == services && is(app); });
  };
  const auto has_process = [](const App& app) { return app.has_process(); };
  if (phase_ == Phase::kServices && !any(true, [](const App& app) {
        return app.state == State::kStarting || app.state == State::kComes;
      })) {
    phase_ = Phase::kReady;
    actions_.emplace_back(Ready{});
  }
  if (Goes() && !any(false, [](const App& app) { return app.state != State::kFinished; })) {
    On(Stop{});
  }
  if (phase_ == Phase::kStopApps && !any(false, has_process)) {
    phase_ = Phase::kStopServices;
    for (App& app : apps_) {
      if (app.has_process()) TellToEnd(app);
    }
  }
  if (phase_ == Phase::kStopServices && !any(true, has_process)) phase_ = Phase::kOver;
}

App* SiteLife::Find(std::string_view name) {
  const auto app = std::ranges::find(apps_, name, &App::name);
  return app == apps_.end() ? nullptr : &*app;
}

void SiteLife::Enter(App& app, State state, std::optional<Duration> for_at_most) {
  app.state = state;
  app.deadline = for_at_most ? now_ + *for_at_most : kNever;
}

void SiteLife::Tell(const App& app, std::string what) {
  actions_.emplace_back(Say{app.name, std::move(what)});
}

const GpuFault* SiteLife::FaultOf(const App& app) const {
  for (const GpuFault& fault : faults_) {
    if (fault.number > app.known_fault && Names(fault, app)) return &fault;
  }
  return nullptr;
}

}  // namespace stagger::cli::life
