#include "look/observed_run.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "base/try.h"
#include "console/arguments.h"
#include "launch/daemon_control.h"
#include "launch/preload.h"
#include "launch/private_daemon.h"

namespace stagger::cli {
namespace {

constexpr Duration kGrace = std::chrono::seconds{2};
constexpr int kDriverTries = 3;
constexpr unsigned kDriverPauseUs = 100'000;

Result<std::string> MakeFolder(const ScratchDir& scratch) {
  const std::string folder = scratch.File("reports");
  if (mkdir(folder.c_str(), 0700) != 0) {
    return Error{fmt::format("cannot make {}: {}", folder, std::strerror(errno))};
  }
  return folder;
}

Result<Command> FindCommand(const Arguments& words) {
  Command command{words, FindInPath(words.front())};
  if (!command.path.empty()) return command;
  const bool has_slash = words.front().find('/') != std::string::npos;
  return Error{fmt::format("cannot run '{}': {}", words.front(),
                           has_slash ? "no such program" : "not found in PATH")};
}

// What the daemon sees in the way of apps on this machine's devices.
std::vector<std::string> DeviceProblems(const std::string& socket) {
  std::vector<std::string> problems;
  Result<documents::Status> status = AskStatus(socket);
  // GPUs are asked once a status is wanted, and their driver may take its time.
  const auto unknown = [](const documents::Device& device) {
    return device.kind == "gpu" && !device.compute_mode;
  };
  for (int tries = 0; status && tries < kDriverTries; ++tries) {
    if (std::ranges::none_of(status->devices, unknown)) break;
    usleep(kDriverPauseUs);
    status = AskStatus(socket);
  }
  if (!status) return problems;
  for (const documents::Device& device : status->devices) {
    if (device.problem) problems.push_back(fmt::format("{}: {}", device.name, *device.problem));
  }
  return problems;
}

}  // namespace

std::optional<int> ReadObservedCommand(CLI::App& app, const char* verb, const Arguments& arguments,
                                       ObservedCommand* told) {
  std::optional<double> seconds;
  app.add_option("--seconds", seconds, "stop the app after so long (default: when it ends)")
      ->check(CheckPositive);
  app.add_flag("--json", told->as_json, "one JSON object instead of text");
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  const Arguments own(arguments.begin(), separator);
  const Arguments words(separator == arguments.end() ? separator : separator + 1, arguments.end());
  const bool help = !own.empty() && (own.front() == "--help" || own.front() == "-h");
  if (words.empty() && !help) {
    PrintError(fmt::format("{0}: no command; usage: stagger {0} [options] -- COMMAND [ARGUMENT...]",
                           verb));
    return kExitUsage;
  }
  if (const auto code = ParseArguments(app, own)) return *code;
  Result<Command> command = FindCommand(words);
  if (!command) {
    PrintError(command.error().message);
    return kExitFailed;
  }
  told->command = std::move(command).value();
  if (seconds) told->limit = FromMs(*seconds * 1000);
  return std::nullopt;
}

std::string HowItEnded(const Observed& observed) {
  const double seconds = ToMs(observed.took) / 1000;
  if (observed.ended) {
    return fmt::format("ended by itself ({}) after {:.1f} s", ToString(*observed.ended), seconds);
  }
  return fmt::format("was ended by {} after {:.1f} s",
                     observed.interrupted ? "a signal to us" : "us", seconds);
}

Result<Environment> ReportingEnvironment(const Installation& installation,
                                         const std::string& socket, const std::string& folder) {
  const std::string agents = STAGGER_TRY(installation.Agents());
  Environment environment = AppEnvironment(agents, socket, {});
  environment["STAGGER_REPORT"] = folder;
  return environment;
}

Result<Observed> Observe(Workplace& place, const Command& command, std::optional<Duration> limit,
                         const Look& look, const Environment& more) {
  const ScratchDir scratch = STAGGER_TRY(ScratchDir::Make(place.keeper));
  const std::string folder = STAGGER_TRY(MakeFolder(scratch));
  DaemonSpec spec;
  spec.socket = scratch.File("daemon.sock");
  spec.policy = "fifo";
  spec.err_file = scratch.File("staggerd.err");
  Result<PrivateDaemon> daemon = PrivateDaemon::Start(place.installation, spec, place.keeper);
  if (!daemon) return daemon.error();

  const Environment environment =
      STAGGER_TRY(ReportingEnvironment(place.installation, spec.socket, folder));
  ChildSpec child;
  child.path = command.path;
  child.argv = command.words;
  child.environment = environment;
  for (const auto& [name, value] : more) {
    child.environment[name] =
        name == "LD_PRELOAD" ? PreloadValue(child.environment[name], value.c_str()) : value;
  }
  child.output_to_err = true;
  // Of a terminal it may not read: it is no longer in the foreground.
  child.keep_input = isatty(0) == 0;
  const TimePoint began = Now();
  ChildProcess app = STAGGER_TRY(ChildProcess::Start(child, place.keeper));

  Observed observed;
  observed.pid = app.pid();
  const TimePoint end = limit ? began + *limit : kNever;
  while (!(observed.ended = app.Poll()) && !(observed.interrupted = place.stop.Raised()) &&
         Now() < end) {
    Duration wait = std::min<Duration>(end - Now(), std::chrono::seconds{1});
    if (look) wait = std::min(wait, look(app.pid()));
    pollfd entries[] = {{app.exit_fd(), POLLIN, 0}, {place.stop.fd(), POLLIN, 0}};
    poll(entries, 2, static_cast<int>(std::max(ToMs(wait), 1.0)));
  }
  observed.took = Now() - began;
  if (!observed.ended) StopAll({&app}, kGrace);
  observed.device_problems = DeviceProblems(spec.socket);
  observed.programs = ReadReports(folder);
  return observed;
}

}  // namespace stagger::cli
