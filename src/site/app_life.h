// The life of a site's apps and services: what follows when one starts, ends, breaks with its GPU
// or is to run elsewhere.
//
// Pure, as the engine is: events come in with the time, actions come out. No clock, process or
// output. Supervisor carries the actions out, in their order; Start, Look and Ready it answers at
// once, each with an event of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "site/gpu_faults.h"

namespace stagger::cli::life {

// ---- What happens ----

// First of all. Services are started, and apps once these listen.
struct Begin {
  std::vector<std::string> services;
  std::vector<std::string> apps;
  bool watches_faults = false;  // the daemon is asked for faults: one that just happened shows late
  bool restart_moved = false;   // apps that have another place are restarted while they run
};
// All is ready for the apps.
struct Go {};
struct Started {
  std::string app;
  pid_t pid = 0;
};
// It may not start now.
struct Refused {
  std::string app;
  std::string why;
};
// Its program could not be executed.
struct NotStarted {
  std::string app;
  std::string why;
};
struct Listens {
  std::string app;
};
struct Ended {
  std::string app;
  bool ok = false;  // with exit code 0
  std::string how;  // "exit code 3"
};
// The daemon's latest faults, oldest first; nothing if it does not answer.
struct Heard {
  std::optional<std::vector<GpuFault>> faults;
};
// The app is to be elsewhere than where it started, and why; empty: it is where it should be.
struct Moved {
  std::string app;
  std::string why;
};
// A name in both lists is started again.
struct Reloaded {
  std::vector<std::string> stop;
  std::vector<std::string> start;
};
// All are to end, apps first; nothing starts any more.
struct Stop {};
// Time has passed.
struct Tick {};

using Event = std::variant<Begin, Go, Started, Refused, NotStarted, Listens, Ended, Heard, Moved,
                           Reloaded, Stop, Tick>;

// ---- What is to be done ----

struct Say {
  std::string who;
  std::string what;
};
struct Start {
  std::string app;
};
struct Signal {
  std::string app;
  bool kill = false;  // else it is asked to end
};
// Some app is due to be judged or started: Moved, where that is news, then Heard.
struct Look {};
// The services listen. Then Go; or Stop, if the apps cannot be started.
struct Ready {};
// The app has finished, and does not come back.
struct Done {
  std::string app;
};

using Action = std::variant<Say, Start, Signal, Look, Ready, Done>;

// Each but kStarting and kFinished has a deadline, which Tick meets.
enum class State : std::uint8_t {
  kDue,       // is started at the deadline
  kHeld,      // as kDue, but broken clients of a GPU run on, beside which a start would be refused;
              // started without regard to them at the deadline
  kStarting,  // Start was given out
  kComes,     // a service that does not listen yet; awaited until the deadline
  kRuns,      // has settled at the deadline: its next failure is a first one
  kMoved,     // runs on, though it has another place; is told to end at the deadline
  kBroken,    // runs on after its GPU's fault; is told to end at the deadline
  kStops,     // was told to end; is killed at the deadline
  kEnded,     // why it ended is judged at the deadline
  kFinished,  // with success, or for good
};
// What follows an end.
enum class Next : std::uint8_t {
  kJudged,     // another start, but for success
  kElsewhere,  // a start at its new place
  kNothing,
  kFresh,  // the first start of what the reload has put under its name
};

struct App {
  std::string name;
  bool service = false;
  State state = State::kDue;
  TimePoint deadline = kNever;
  Next next = Next::kJudged;
  std::string elsewhere{};  // why it is to be there; nothing that happened where it was holds it up
  int failures = 0;         // in a row
  int faults_caused = 0;
  pid_t pid = -1;                 // the latest process's
  std::uint64_t known_fault = 0;  // later ones broke the latest process, if any did
  std::string how{};              // it ended
  std::string waits_for{};        // why it was refused

  bool has_process() const { return state >= State::kComes && state <= State::kStops; }
};

class SiteLife {
 public:
  std::vector<Action> Step(const Event& event, TimePoint now);
  TimePoint Deadline() const;  // when Tick is due, at the latest

  const std::vector<App>& apps() const { return apps_; }
  bool Goes() const { return phase_ == Phase::kApps; }  // apps run; none is stopped with the site
  bool IsOver() const { return phase_ == Phase::kOver; }

 private:
  enum class Phase : std::uint8_t { kServices, kReady, kApps, kStopApps, kStopServices, kOver };

  void On(const Begin& event);
  void On(const Go& event);
  void On(const Heard& event);
  void On(const Reloaded& event);
  void On(const Stop& event);
  void On(const Tick& event);
  void On(App& app, const Started& event);
  void On(App& app, const Refused& event);
  void On(App& app, const NotStarted& event);
  void On(App& app, const Listens& event);
  void On(App& app, const Ended& event);
  void On(App& app, const Moved& event);

  App* Find(std::string_view name);
  void Enter(App& app, State state, std::optional<Duration> for_at_most = {});
  void Tell(const App& app, std::string what);
  void StartNow(App& app);
  void StartUnlessHeld(App& app);
  void Again(App& app, const std::string& why, Duration pause);
  void Judge(App& app);
  void TellToEnd(App& app);
  void Leave(App& app);
  void Advance();
  // The fault that broke the app's latest process; null: none.
  const GpuFault* FaultOf(const App& app) const;

  Phase phase_ = Phase::kServices;
  std::vector<App> apps_;
  std::vector<GpuFault> faults_;  // as last heard of
  std::uint64_t told_ = 0;        // up to which fault a line has said what happened
  Duration gather_{};             // from an app's end to when the daemon knows of its fault
  bool restart_moved_ = false;
  TimePoint now_;
  std::vector<Action> actions_;  // of this step
};

}  // namespace stagger::cli::life
