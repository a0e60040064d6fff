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

int Profile(const ObservedCommand& told) {
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const Result<Observed> observed = Observe(*place, told.command, told.limit);
  if (!observed) {
    PrintError("profile: " + observed.error().message);
    return kExitFailed;
  }
  const std::vector<PhaseProfile> profiles = PhaseProfiles(observed->programs);
  if (told.as_json) {
    PrintJson(told.command, *observed, profiles);
  } else {
    for (const PhaseProfile& profile : profiles) fmt::print("{}\n", ToText(profile));
    fmt::print("{} {}\n", told.command.words.front(), HowItEnded(*observed));
  }
  if (!profiles.empty()) return kExitOk;
  PrintError(
      "profile: no inference was seen after warm-up; 'stagger doctor -- CMD' says what was seen");
  return kExitFailed;
}

}  // namespace

int ProfileVerb(const Arguments& arguments) {
  CLI::App app{
      "Runs an app and says how long the phases of its inferences take.\n"
      "stagger profile [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger profile"};
  ObservedCommand told;
  bool overlap = false;
  OverlapSettings sweep;
  app.add_flag("--overlap", overlap,
               "run two copies, the body of one some time after the other's, and fit the device's "
               "model to what that costs");
  app.add_option("--rounds", sweep.rounds, "with --overlap: how often each offset is tried")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seed", sweep.seed, "with --overlap: of the order of the offsets")
      ->capture_default_str();
  app.footer(
      "Everything after -- is the app's own command line. What the app prints goes to stderr.\n"
      "With --overlap, --seconds bounds the whole sweep; copies that end are started again.");
  if (const auto code = ReadObservedCommand(app, "profile", arguments, &told)) return *code;
  if (!overlap) return Profile(told);
  sweep.limit = told.limit;
  sweep.as_json = told.as_json;
  return Overlap(told.command, sweep);
}

}  // namespace stagger::cli
