// Keeps a site's apps running: starts them, passes their output on line by line with their name in
// front, starts a failed one again (1 s later, then 2, 4 ... 30), and stops them all at the end.
// Where a GPU's fault broke apps, those that go on are stopped, and all are started again once the
// last of them has gone; the one that caused it comes back much later (30 s, then 60 ... 600).
// One that has another place by then starts there at once.
// Runs on the main thread; one poll loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "launch/child_process.h"
#include "launch/keeper.h"
#include "launch/stop_signal.h"
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
  // Readable (-1: nothing to wait for): there is news of places, which are for `Moved`.
  std::function<int()> places_fd;
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

  // The app is to be somewhere else than where it started, and why; empty: it is where it should
  // be.
  void Moved(const std::string& app, std::string why);

  // Returns when a signal came or every app has finished (ended with exit code 0), with all
  // stopped. `daemon` may be null, else its output is a pipe; an error if it ended.
  Result<void> Run(ChildProcess* daemon);

 private:
  struct App;

  void Start(App& app);
  void Ended(App& app, const ExitStatus& status);
  void Judge(App& app);
  bool HasMoved(App& app, const ExitStatus& status);
  void RestartMoved(App& app);
  void LookForFaults();
  void StopBroken(App& app, const GpuFault& fault);
  // The fault that broke this app's latest process; null: none.
  const GpuFault* FaultOf(const App& app) const;
  // Broken clients of a GPU that still run: an app that starts now would be refused.
  bool MustWait(App& app);
  void Reload();
  void Retire(App& app);  // tells it to end, and later makes it
  void Forward(App& app);
  Duration Wait() const;
  void AwaitServices();
  void StopAll(bool services);

  std::vector<App> apps_;
  Keeper& keeper_;
  StopSignal& stop_;
  AskFaults ask_faults_;
  SupervisorHooks hooks_;
  TimePoint next_second_{};
  std::vector<GpuFault> faults_;  // as last heard of
  std::uint64_t told_ = 0;        // up to which fault a line has said what happened
  TimePoint next_look_{};
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

// How long to wait before the next start, after `failures` in a row.
Duration Backoff(int failures);
// The same for an app that broke others, after `times` in a row.
Duration CulpritBackoff(int times);

}  // namespace stagger::cli
