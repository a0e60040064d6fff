// stagger profile: the phases of an app's inferences; with --overlap, how two of them share a
// device.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "cli/arguments.h"
#include "cli/observed_run.h"
#include "cli/overlap.h"
#include "cli/profile_report.h"
#include "cli/verbs.h"

namespace stagger::cli {
namespace {

using nlohmann::ordered_json;

void PrintJson(const Command& command, const Observed& observed,
               const std::vector<PhaseProfile>& profiles) {
  ordered_json json;
  json["command"] = command.words;
  json["took_ms"] = ToMs(observed.took);
  json["ended"] = HowItEnded(observed);
  json["processes"] = ordered_json::array();
  for (const PhaseProfile& profile : profiles) json["processes"].push_back(ToJson(profile));
  fmt::print("{}\n", json.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

int Profile(const Command& command, std::optional<Duration> limit, bool as_json) {
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const Result<Observed> observed = Observe(*place, command, limit);
  if (!observed) {
    PrintError("profile: " + observed.error().message);
    return kExitFailed;
  }
  const std::vector<PhaseProfile> profiles = PhaseProfiles(observed->programs);
  if (as_json) {
    PrintJson(command, *observed, profiles);
  } else {
    for (const PhaseProfile& profile : profiles) fmt::print("{}\n", ToText(profile));
    fmt::print("{} {}\n", command.words.front(), HowItEnded(*observed));
  }
  if (!profiles.empty()) return kExitOk;
  PrintError(
      "profile: no inference was seen after warm-up; 'stagger doctor -- CMD' says what was seen");
  return kExitFailed;
}

}  // namespace

int ProfileVerb(const Arguments& arguments) {
  const CommandLine line = SplitAtDashes(arguments);
  CLI::App app{
      "Runs an app and says how long the phases of its inferences take.\n"
      "stagger profile [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger profile"};
  bool as_json = false;
  bool overlap = false;
  std::optional<double> seconds;
  OverlapSettings sweep;
  app.add_option("--seconds", seconds, "stop the app after so long (default: when it ends)")
      ->check(CheckPositive);
  app.add_flag("--overlap", overlap,
               "run two copies, the body of one some time after the other's, and fit the device's "
               "model to what that costs");
  app.add_option("--rounds", sweep.rounds, "with --overlap: how often each offset is tried")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seed", sweep.seed, "with --overlap: of the order of the offsets")
      ->capture_default_str();
  app.add_flag("--json", as_json, "one JSON object instead of tables");
  app.footer(
      "Everything after -- is the app's own command line. What the app prints goes to stderr.\n"
      "With --overlap, --seconds bounds the whole sweep; copies that end are started again.");
  const bool help = !line.own.empty() && (line.own.front() == "--help" || line.own.front() == "-h");
  if (line.command.empty() && !help) {
    PrintError("profile: no command; usage: stagger profile [options] -- COMMAND [ARGUMENT...]");
    return kExitUsage;
  }
  if (const auto code = ParseArguments(app, line.own)) return *code;
  const Result<Command> command = FindCommand(line.command);
  if (!command) {
    PrintError(command.error().message);
    return kExitFailed;
  }
  const auto limit = seconds ? std::optional(FromMs(*seconds * 1000)) : std::nullopt;
  if (!overlap) return Profile(*command, limit, as_json);
  sweep.limit = limit;
  sweep.as_json = as_json;
  return Overlap(*command, sweep);
}

}  // namespace stagger::cli
