// stagger profile: the phases of an app's inferences.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/verbs.h"
#include "console/arguments.h"
#include "look/observed_run.h"
#include "look/profile_report.h"

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
  const auto options_end = std::ranges::find(arguments, "--");
  if (const auto overlap = std::find(arguments.begin(), options_end, "--overlap");
      overlap != options_end) {
    Arguments rest(arguments.begin(), overlap);
    rest.insert(rest.end(), overlap + 1, arguments.end());
    return OverlapVerb(rest);
  }
  CLI::App app{
      "Runs an app and says how long the phases of its inferences take.\n"
      "stagger profile [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger profile"};
  ObservedCommand told;
  bool overlap = false;  // never set here: ProfileVerb has gone to the laboratory by then
  app.add_flag("--overlap", overlap,
               "run two copies, the body of one some time after the other's, and fit the device's "
               "model to what that costs ('stagger profile --overlap --help' lists its options)");
  app.footer(
      "Everything after -- is the app's own command line. What the app prints goes to stderr.");
  if (const auto code = ReadObservedCommand(app, "profile", arguments, &told)) return *code;
  return Profile(told);
}

}  // namespace stagger::cli
