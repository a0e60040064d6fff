// What holds for every history of a site, sensible or not: starts that are refused or fail, ends,
// faults, moves, reloads, in any order; beside it a shadow keeps its own books of the processes.
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "site/app_life.h"

namespace stagger::cli::life {
namespace {

constexpr Duration kLongestPause = std::chrono::seconds{600};
constexpr Duration kLongestHold = std::chrono::seconds{30};
constexpr Duration kGrace = std::chrono::seconds{5};
const std::vector<std::string> kServices{"x", "y"};
const std::vector<std::string> kNames{"a", "b", "c", "d"};

enum class Kind : std::uint8_t { kWait, kListen, kEnd, kFault, kLook, kMove, kReload, kStop };

struct Move {
  Kind kind{};
  std::uint32_t pick = 0;  // bits that decide what else there is to decide
  std::int64_t ms = 0;     // that pass before it
};

void showValue(const Move& move, std::ostream& out) {
  static constexpr const char* kKinds[] = {"wait", "listen", "end",    "fault",
                                           "look", "move",   "reload", "stop"};
  out << kKinds[static_cast<int>(move.kind)] << "(" << move.pick << ", after " << move.ms << " ms)";
}

rc::Gen<Move> AnyMove() {
  return rc::gen::build<Move>(
      rc::gen::set(&Move::kind, rc::gen::weightedElement<Kind>({{8, Kind::kWait},
                                                                {6, Kind::kListen},
                                                                {16, Kind::kEnd},
                                                                {4, Kind::kFault},
                                                                {6, Kind::kLook},
                                                                {4, Kind::kMove},
                                                                {4, Kind::kReload},
                                                                {1, Kind::kStop}})),
      rc::gen::set(&Move::pick, rc::gen::inRange<std::uint32_t>(0, 1 << 20)),
      rc::gen::set(&Move::ms, rc::gen::oneOf(rc::gen::inRange<std::int64_t>(0, 700),
                                             rc::gen::inRange<std::int64_t>(0, 9000),
                                             rc::gen::inRange<std::int64_t>(0, 90'000))));
}

std::vector<std::string> Some(std::uint32_t bits) {
  std::vector<std::string> some;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if ((bits >> i & 1) != 0) some.push_back(kNames[i]);
  }
  return some;
}

class World {
 public:
  // Without `luck` every start succeeds.
  World(bool watches_faults, bool restart_moved, std::optional<std::uint32_t> luck)
      : watches_faults_(watches_faults), luck_(luck) {
    Happens(Begin{kServices, kNames, watches_faults, restart_moved});
  }

  void Apply(const Move& move) {
    PassUntil(now_ + Duration{std::chrono::milliseconds{move.ms}});
    const std::string& app = kNames[move.pick % kNames.size()];
    switch (move.kind) {
      case Kind::kWait:
        break;
      case Kind::kListen:
        Happens(Listens{kServices[move.pick % kServices.size()]});
        break;
      case Kind::kEnd:
        EndOne(move.pick);
        break;
      case Kind::kFault:
        if (watches_faults_) Fault(move.pick);
        break;
      case Kind::kLook:
        Look();
        break;
      case Kind::kMove:
        Happens(Moved{app, move.pick % 8 == 0 ? "" : "there"});
        break;
      case Kind::kReload:
        Happens(Reloaded{Some(move.pick), Some(move.pick >> 4)});
        break;
      case Kind::kStop:
        Happens(Stop{});
        stopped_ = true;
        break;
    }
  }

  // After Stop all end: those that need it are killed, and then do.
  void End() {
    Happens(Stop{});
    stopped_ = true;
    for (int round = 0; round < 3 && !life_.IsOver(); ++round) {
      // Nothing that it waits for takes longer than the grace.
      PassUntil(now_ + kGrace);
      while (!killed_.empty()) Ends(*killed_.begin(), false);
    }
    RC_ASSERT(life_.IsOver());
    RC_ASSERT(processes_.empty());
  }

  void ListenAll() {
    for (const std::string& name : kServices) Happens(Listens{name});
  }
  bool IsAsked(const std::string& name) const { return asked_.contains(name); }
  const std::vector<std::string>& started() const { return started_; }
  const std::map<std::string, pid_t>& processes() const { return processes_; }
  void Ends(const std::string& name, bool ok) {
    processes_.erase(name);
    asked_.erase(name);
    killed_.erase(name);
    for (GpuFault& fault : faults_) {
      for (GpuFault::Stream& stream : fault.streams) {
        if (stream.name == name) stream.present = false;
      }
    }
    Happens(Ended{name, ok, ok ? "exit code 0" : "exit code 1"});
  }
  void Fault(const std::string& culprit, const std::vector<std::string>& broken, bool shared) {
    GpuFault fault{++last_fault_, "gpu:0", "error", culprit, shared, {}, {}};
    for (const std::string& name : broken) {
      const auto process = processes_.find(name);
      if (process != processes_.end()) fault.streams.push_back({name, process->second, true});
    }
    faults_.push_back(fault);
    fault_at_.push_back(now_);
  }
  // The supervisor looks once a second.
  void PassUntil(TimePoint until) {
    for (int ticks = 0; now_ < until; ++ticks) {
      RC_ASSERT(ticks < 1000);
      now_ = std::min({until, std::max(now_, life_.Deadline()), next_look_});
      if (now_ >= next_look_) {
        Look();
        next_look_ = now_ + Duration{std::chrono::seconds{1}};
      }
      // All that was due is done at once: time goes on.
      for (int steps = 0; life_.Deadline() <= now_; ++steps) {
        RC_ASSERT(steps < 20);
        Happens(Tick{});
      }
    }
  }
  TimePoint now() const { return now_; }

 private:
  bool Lucky(std::uint32_t one_in) {
    if (!luck_) return false;
    *luck_ = *luck_ * 1664525 + 1013904223;
    return (*luck_ >> 16) % one_in == 0;
  }
  void EndOne(std::uint32_t pick) {
    if (processes_.empty()) return;
    const auto one = std::next(processes_.begin(), pick % processes_.size());
    Ends(std::string(one->first), pick % 5 == 0);
  }
  void Fault(std::uint32_t pick) {
    const std::vector<std::string> broken = Some(pick);
    Fault(broken.empty() || pick % 3 == 0 ? "" : broken[pick % broken.size()], broken,
          pick % 5 != 0);
  }
  void Look() {
    for (std::size_t i = 0; i < faults_.size(); ++i) faults_[i].age = now_ - fault_at_[i];
    Happens(Heard{watches_faults_ ? std::optional(faults_) : std::nullopt});
  }

  void Happens(const Event& event) {
    for (const Action& action : life_.Step(event, now_)) Perform(action);
    Check();
  }

  void Perform(const Action& action) {
    if (const auto* start = std::get_if<Start>(&action)) {
      RC_ASSERT(!stopped_);
      RC_ASSERT(!processes_.contains(start->app));
      if (Lucky(8)) return Happens(Refused{start->app, "no place"});
      if (Lucky(8)) return Happens(NotStarted{start->app, "no program"});
      const bool is_service = std::ranges::count(kServices, start->app) > 0;
      RC_ASSERT(is_service || is_ready_);
      processes_[start->app] = ++last_pid_;
      started_.push_back(start->app);
      Happens(Started{start->app, last_pid_});
    } else if (const auto* signal = std::get_if<Signal>(&action)) {
      RC_ASSERT(processes_.contains(signal->app));
      if (std::ranges::count(kServices, signal->app) > 0 && stopped_) {
        for (const std::string& name : kNames) RC_ASSERT(!processes_.contains(name));
      }
      if (!signal->kill) {
        asked_[signal->app] = now_;
      } else {
        RC_ASSERT(asked_.contains(signal->app));
        RC_ASSERT(now_ - asked_.at(signal->app) >= kGrace);
        killed_.insert(signal->app);
      }
    } else if (std::holds_alternative<life::Look>(action)) {
      Look();
    } else if (std::holds_alternative<Ready>(action)) {
      RC_ASSERT(!std::exchange(is_ready_, true));
      Happens(Go{});
    } else if (const auto* done = std::get_if<Done>(&action)) {
      RC_ASSERT(!processes_.contains(done->app));
    }
  }

  void Check() {
    stopped_ |= is_ready_ && !life_.Goes();
    std::set<std::string> running;
    for (const App& app : life_.apps()) {
      if (app.has_process()) RC_ASSERT(running.insert(app.name).second);
      if (app.state == State::kStarting) continue;  // in the midst of it
      const bool settled = app.state == State::kFinished || app.state == State::kRuns;
      const bool awaits_services = app.state == State::kDue && !is_ready_ && !app.service;
      if (!settled && !awaits_services) {
        RC_ASSERT(app.deadline != kNever);
        RC_ASSERT(app.deadline - now_ <= kLongestPause);
        if (app.faults_caused == 0) RC_ASSERT(app.deadline - now_ <= kLongestHold);
      }
    }
    for (const auto& [name, pid] : processes_) RC_ASSERT(running.contains(name));
    RC_ASSERT(running.size() == processes_.size());
  }

  SiteLife life_;
  TimePoint now_{std::chrono::seconds{1}};
  TimePoint next_look_ = now_;
  bool watches_faults_;
  std::optional<std::uint32_t> luck_;
  bool is_ready_ = false;
  bool stopped_ = false;
  std::map<std::string, pid_t> processes_;
  std::map<std::string, TimePoint> asked_;  // to end
  std::set<std::string> killed_;
  std::vector<std::string> started_;
  std::vector<GpuFault> faults_;
  std::vector<TimePoint> fault_at_;
  std::uint64_t last_fault_ = 0;
  pid_t last_pid_ = 0;
};

void AnyHistory() {
  const auto moves = *rc::gen::scale(3.0, rc::gen::container<std::vector<Move>>(AnyMove()));
  World world(*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>(),
              *rc::gen::arbitrary<std::uint32_t>());
  for (const Move& move : moves) world.Apply(move);
  world.End();
}

// Apps that a fault breaks end when they like, or only when they are told to.
void AnyFault() {
  World world(true, false, std::nullopt);
  world.ListenAll();
  world.PassUntil(world.now() + Duration{std::chrono::seconds{1}});
  const std::size_t before = world.started().size();
  RC_ASSERT(before == kNames.size() + kServices.size());
  const std::vector<std::string> broken = Some(*rc::gen::resize(100, rc::gen::inRange(1, 16)));
  std::map<std::string, TimePoint> ends;
  for (const std::string& name : broken) {
    if (*rc::gen::arbitrary<bool>()) continue;
    ends[name] = world.now() + Duration{std::chrono::milliseconds{*rc::gen::inRange(1, 3000)}};
  }
  const std::string culprit = *rc::gen::elementOf(broken);
  const bool shared = *rc::gen::arbitrary<bool>();
  const std::map<std::string, pid_t> old = world.processes();
  world.Fault(culprit, broken, shared);
  for (int step = 0; step < 240; ++step) {
    world.PassUntil(world.now() + Duration{std::chrono::milliseconds{250}});
    std::size_t left = 0;
    for (const std::string& name : broken) {
      const auto process = world.processes().find(name);
      if (process == world.processes().end() || process->second != old.at(name)) continue;
      const bool now = ends.contains(name) ? ends.at(name) <= world.now() : world.IsAsked(name);
      if (now) world.Ends(name, false);
      left += now ? 0 : 1;
    }
    if (shared && left > 0) RC_ASSERT(world.started().size() == before);
  }
  // Each once, and the culprit last.
  RC_ASSERT(world.started().size() == before + broken.size());
  RC_ASSERT(world.started().back() == culprit);
  world.End();
}

}  // namespace
}  // namespace stagger::cli::life

int main() {
  using namespace stagger::cli::life;
  bool held = rc::check("one process of each app at most, and none is left or lost", AnyHistory);
  held &=
      rc::check("what a fault broke starts once all of it has gone, its culprit last", AnyFault);
  return held ? 0 : 1;
}
