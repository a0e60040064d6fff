// stagger profile --overlap: how two inferences share a device.
#include <CLI/CLI.hpp>

#include "console/arguments.h"
#include "lab/overlap/overlap.h"
#include "lab/verbs.h"
#include "look/observed_run.h"

namespace stagger::cli {

int OverlapVerb(const Arguments& arguments) {
  CLI::App app{
      "Runs two copies of an app, the body of one some time after the other's, and fits the "
      "device's model to what that costs.\n"
      "stagger profile --overlap [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger profile --overlap"};
  ObservedCommand told;
  OverlapSettings sweep;
  app.add_option("--rounds", sweep.rounds, "how often each offset is tried")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seed", sweep.seed, "of the order of the offsets")->capture_default_str();
  app.footer(
      "Everything after -- is the app's own command line. What the app prints goes to stderr.\n"
      "--seconds bounds the whole sweep; copies that end are started again.");
  if (const auto code = ReadObservedCommand(app, "profile", arguments, &told)) return *code;
  sweep.limit = told.limit;
  sweep.as_json = told.as_json;
  return Overlap(told.command, sweep);
}

}  // namespace stagger::cli
