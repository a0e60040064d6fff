// Tells the life of a site in a line per action, so that tests read like prose. The test is the
// supervisor, the daemon and the processes: apps and services are letters, process ids are counted
// from 1, times are milliseconds that the test lets pass.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "site/app_life.h"

namespace stagger::cli::life {

using testing::ElementsAre;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

inline Duration Ms(std::int64_t ms) { return std::chrono::milliseconds{ms}; }
inline std::vector<std::string> Names(const std::string& letters) {
  std::vector<std::string> names;
  for (const char letter : letters) names.emplace_back(1, letter);
  return names;
}

class Story : public testing::Test {
 protected:
  // Unless `watches_faults`, the end of an app is judged at once.
  Lines Open(const std::string& apps, const std::string& services = "") {
    return Do(Begin{Names(services), Names(apps), watches_faults_, restart_moved_});
  }
  // With apps that run.
  void Run(const std::string& apps, const std::string& services = "") {
    Open(apps, services);
    for (const char service : services) Listen(service);
    Wait();
  }

  Lines Listen(char name) { return Do(Listens{{name}}); }
  Lines Finish(char name) { return End(name, true, "exit code 0"); }
  Lines Fail(char name) { return End(name, false, "exit code 1"); }
  Lines Move(char name, const std::string& why = "it is faster") { return Do(Moved{{name}, why}); }
  Lines Reload(const std::string& stop, const std::string& start) {
    return Do(Reloaded{Names(stop), Names(start)});
  }
  Lines StopAll() { return Do(Stop{}); }
  // Tells of faults, as the supervisor does once a second.
  Lines Look() { return Do(Heard{Faults()}); }

  // What happens at once, and then until so much time has passed.
  Lines Wait(std::int64_t ms = 0) {
    const TimePoint until = now_ + Ms(ms);
    Lines all;
    for (int ticks = 0; life_.Deadline() <= until; ++ticks) {
      EXPECT_LT(ticks, 1000) << "time stands still";
      if (ticks == 1000) break;
      now_ = std::max(now_, life_.Deadline());
      for (std::string& line : Do(Tick{})) all.push_back(std::move(line));
    }
    now_ = until;
    return all;
  }

  // A fault of a GPU whose clients share it; `broken` still run.
  void Fault(const std::string& culprit, const std::string& broken) {
    faults_.push_back({++last_fault_, "gpu:0", "illegal address", culprit, true, Ms(0), {}});
    for (const std::string& name : Names(broken)) {
      faults_.back().streams.push_back({name, pid_of_[name], true});
    }
    fault_at_ = now_;
  }

  Lines Do(const Event& event) {
    Lines lines;
    for (const Action& action : life_.Step(event, now_)) {
      for (std::string& line : Perform(action)) lines.push_back(std::move(line));
    }
    return lines;
  }

  SiteLife life_;
  TimePoint now_{Ms(1000)};
  bool watches_faults_ = false;
  bool restart_moved_ = false;
  bool is_ready_ = true;             // the apps can be started, once services listen
  std::map<char, std::string> no_;   // why one may not start
  std::set<char> missing_;           // these programs cannot be executed
  std::set<char> moves_on_looking_;  // that they have another place is known by looking

 private:
  Lines End(char name, bool ok, const std::string& how) {
    for (GpuFault& fault : faults_) {
      for (GpuFault::Stream& stream : fault.streams) {
        if (stream.name == std::string{name}) stream.present = false;
      }
    }
    return Do(Ended{{name}, ok, how});
  }

  std::vector<GpuFault> Faults() {
    for (GpuFault& fault : faults_) fault.age = now_ - fault_at_;
    return faults_;
  }

  Lines Perform(const Action& action) {
    if (const auto* say = std::get_if<Say>(&action)) return {say->who + ": " + say->what};
    if (const auto* start = std::get_if<Start>(&action)) {
      const char name = start->app[0];
      if (no_.contains(name)) return Do(Refused{start->app, no_[name]});
      if (missing_.contains(name)) return Do(NotStarted{start->app, "no such program"});
      pid_of_[start->app] = ++last_pid_;
      return Do(Started{start->app, last_pid_});
    }
    if (const auto* signal = std::get_if<Signal>(&action)) {
      return {(signal->kill ? "kill " : "end ") + signal->app};
    }
    if (const auto* done = std::get_if<Done>(&action)) return {done->app + " is done"};
    if (std::holds_alternative<Ready>(action)) {
      Lines lines{"ready?"};
      for (std::string& line : is_ready_ ? Do(Go{}) : Do(Stop{})) lines.push_back(std::move(line));
      return lines;
    }
    Lines lines;
    for (const char name : std::exchange(moves_on_looking_, {})) {
      for (std::string& line : Move(name)) lines.push_back(std::move(line));
    }
    for (std::string& line : Look()) lines.push_back(std::move(line));
    return lines;
  }

  std::map<std::string, pid_t> pid_of_;
  pid_t last_pid_ = 0;
  std::vector<GpuFault> faults_;
  std::uint64_t last_fault_ = 0;
  TimePoint fault_at_;
};

}  // namespace stagger::cli::life
