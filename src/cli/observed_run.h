// Runs one command under a daemon of its own, with the agents in it, and reads afterwards what they
// wrote. What `profile` and `doctor` share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/app_environment.h"
#include "cli/child_process.h"
#include "cli/program_report.h"
#include "cli/scratch_dir.h"
#include "cli/verbs.h"
#include "cli/workplace.h"

namespace stagger::cli {

struct Command {
  Arguments words;
  std::string path;  // what to execute
};

// The words after "--". Error: there are none (bad usage), or no such program.
struct CommandLine {
  Arguments own;
  Arguments command;
};
CommandLine SplitAtDashes(const Arguments& arguments);
Result<Command> FindCommand(const Arguments& words);

struct Observed {
  pid_t pid = 0;
  std::optional<ExitStatus> ended;  // empty: it was ended by us
  bool interrupted = false;         // by Ctrl-C or SIGTERM
  Duration took{};
  std::vector<ProgramReport> programs;
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
Result<Observed> Observe(Workplace& place, const Command& command, std::optional<Duration> limit,
                         const Look& look = nullptr, const Environment& more = {});

}  // namespace stagger::cli
