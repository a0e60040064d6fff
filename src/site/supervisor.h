// Keeps a site's apps running: starts them, passes their output on line by line with their name in
// front, starts a failed one again, and stops them all at the end. When, and what a GPU's fault or
// another place changes of that, life::SiteLife decides; the supervisor has the processes, pipes
// and signals, and asks the daemon.
// Runs on the main thread; one poll loop.
#pragma once

#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "launch/child_process.h"
#include "launch/keeper.h"
#include "launch/stop_signal.h"
#include "site/app_life.h"
#include "site/gpu_faults.h"

namespace stagger::cli {

struct Supervised {
  std::string name;
  ChildSpec spec;
  // One that others need: started before them, once a process listens at this socket, and stopped
  // after them. Empty: an app.
  std::string serves;
};

// What is to be another way while the rest goes on. A name in both lists is started again.
struct SiteChange {
  std::vector<std::string> stop;
  std::vector<Supervised> start;
};

// What else is to be done at times; each may be empty. None may take long: the apps' output waits.
struct SupervisorHooks {
  // Those that others need listen. Error: no app is started, and Run returns it.
  std::function<Result<void>()> ready;
  // An app is about to start, for the first time or again. Error: not now, and why; it is tried
  // again a second later.
  std::function<Result<void>(const std::string& name, ChildSpec* spec)> starting;
  std::function<void(const std::string& name)> finished;  // and does not come back
  std::function<void()> every_second;
  // Readable (-1: nothing to wait for): there is news of places.
  std::function<int()> places_fd;
  // Of apps whose place there is news of: why they are to be somewhere else than where they
  // started; empty: they are where they should be.
  std::function<std::map<std::string, std::string>()> places_came;
  bool restart_moved = false;  // while they run, too; else at their next start
  // Asked for by SIGHUP. Error: why nothing changes.
  std::function<Result<SiteChange>()> reload;
};

class Supervisor {
 public:
  Supervisor(std::vector<Supervised> apps, Keeper& keeper, StopSignal& stop);
  ~Supervisor();

  // `ask` gives the daemon's latest GPU faults; nothing if it does not answer at once. Asked once a
  // second, and when an app has failed.
  using AskFaults = std::function<std::optional<std::vector<GpuFault>>()>;
  void WatchFaults(AskFaults ask) { ask_faults_ = std::move(ask); }

  void Hook(SupervisorHooks hooks) { hooks_ = std::move(hooks); }

  // Returns when a signal came or every app has finished (ended with exit code 0), with all
  // stopped. `daemon` may be null, else its output is a pipe; an error if it ended.
  Result<void> Run(ChildProcess* daemon);

 private:
  struct Child;

  // Hands the event to the life of the site, and carries out what follows.
  void Happens(const life::Event& event);
  void Perform(const life::Action& action);
  void Start(const std::string& name);
  void HearOfPlaces();
  void Look();
  void Reload();
  void Wait(ChildProcess* daemon);

  std::map<std::string, Child> children_;
  life::Begin begin_;
  life::SiteLife life_;
  Keeper& keeper_;
  StopSignal& stop_;
  AskFaults ask_faults_;
  SupervisorHooks hooks_;
  TimePoint next_second_{};
  Result<void> result_;
};

// Cuts a stream of bytes into lines and puts "name | " before each.
class LinePrefix {
 public:
  explicit LinePrefix(std::string prefix) : prefix_(std::move(prefix)) {}
  // The complete lines of what came so far; overlong ones are cut.
  std::string Add(std::string_view bytes);
  // What was left without a newline.
  std::string Rest();

 private:
  std::string prefix_;
  std::string pending_;
};

}  // namespace stagger::cli
