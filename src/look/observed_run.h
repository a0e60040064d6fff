// Runs one command under a daemon of its own, with the agents in it, and reads afterwards what they
// wrote. What `profile` and `doctor` share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "console/arguments.h"
#include "launch/app_environment.h"
#include "launch/child_process.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"
#include "look/program_report.h"

namespace CLI {
class App;
}

namespace stagger::cli {

struct Command {
  Arguments words;
  std::string path;  // what to execute
};

struct Observed {
  pid_t pid = 0;
  std::optional<ExitStatus> ended;  // empty: it was ended by us
  bool interrupted = false;         // by Ctrl-C or SIGTERM
  Duration took{};
  std::vector<ProgramReport> programs;
  std::vector<std::string> device_problems;  // "gpu:0: its compute mode is ..."
};

// How it ended, in words: "ended by itself (exit code 0) after 12.0 s".
std::string HowItEnded(const Observed& observed);

// The environment that makes an app write its reports into `folder`.
Result<Environment> ReportingEnvironment(const Installation& installation,
                                         const std::string& socket, const std::string& folder);

// Called with the command's pid from its start on; returns the pause until the next call.
using Look = std::function<Duration(pid_t)>;

// Returns when the command has ended, `limit` has passed or a signal has come. In the latter two
// cases the command gets SIGTERM, and SIGKILL two seconds later. Its output goes to our stderr.
// `more` is added to the environment that makes the command report.
Result<Observed> Observe(Workplace& place, const Command& command, std::optional<Duration> limit,
                         const Look& look = nullptr, const Environment& more = {});

// What `profile` and `doctor` are told.
struct ObservedCommand {
  Command command;
  std::optional<Duration> limit;  // --seconds
  bool as_json = false;           // --json
};

// Adds --seconds and --json to the verb's options, reads all of them, and finds the command after
// "--". nullopt: go on. Otherwise the exit code: help was printed, or what is wrong.
std::optional<int> ReadObservedCommand(CLI::App& app, const char* verb, const Arguments& arguments,
                                       ObservedCommand* told);

}  // namespace stagger::cli
