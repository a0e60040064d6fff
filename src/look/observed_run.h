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

// Until the command ends, `limit` has passed, or a signal comes; in the latter cases it gets
// SIGTERM, and SIGKILL two seconds later. Its output goes to our stderr. `look`, where there is
// one, is called with its pid from the start on, and says how soon again. `more` is added to the
// app's environment.
using Look = std::function<Duration(pid_t)>;
// `more`: set for the command on top of what makes it report.
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
