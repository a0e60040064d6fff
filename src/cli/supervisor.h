// Keeps a site's apps running: starts them, passes their output on line by line with their name in
// front, starts a failed one again (1 s later, then 2, 4 ... 30), and stops them all at the end.
// Runs on the main thread; one poll loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/child_process.h"
#include "cli/keeper.h"
#include "cli/stop_signal.h"

namespace stagger::cli {

struct Supervised {
  std::string name;
  ChildSpec spec;
  // One that others need: started before them, once somebody listens at this socket, and stopped
  // after them. Empty: an app.
  std::string serves;
};

class Supervisor {
 public:
  Supervisor(std::vector<Supervised> apps, Keeper& keeper, StopSignal& stop);
  ~Supervisor();

  // Returns when a signal came or every app has finished (ended with exit code 0), with all
  // stopped. `daemon` may be null, else its output is a pipe; an error if it ended.
  Result<void> Run(ChildProcess* daemon);

 private:
  struct App;

  void Start(App& app);
  void Ended(App& app, const ExitStatus& status);
  void Forward(App& app);
  Duration Wait() const;
  void AwaitServices();
  void StopAll(bool services);

  std::vector<App> apps_;
  Keeper& keeper_;
  StopSignal& stop_;
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

}  // namespace stagger::cli
