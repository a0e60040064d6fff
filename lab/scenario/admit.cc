// stagger admit: would every body of a scenario end in time, and if not, what binds.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "console/arguments.h"
#include "lab/scenario/admit_report.h"
#include "lab/scenario/scenario_file.h"
#include "lab/verbs.h"

namespace stagger::cli {

int AdmitVerb(const Arguments& arguments) {
  CLI::App app{
      "Whether every body of a scenario ends in time under edf, one at a time, whenever its frames "
      "come; and if not, which deadline is missed, because of what, and what would fit.",
      "stagger admit"};
  std::string file;
  bool as_json = false;
  app.add_option("scenario", file, "a scenario file (see scenarios/)")->required();
  app.add_flag("--json", as_json, "one JSON object instead of sentences");
  app.footer("exit code 1: a device's streams do not fit");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  const Result<sim::Scenario> scenario = ReadScenario(file);
  if (!scenario) {
    PrintError("admit: " + scenario.error().message);
    return kExitFailed;
  }
  const std::vector<DeviceVerdict> verdicts = JudgeDevices(scenario.value());
  fmt::print("{}", as_json ? ToJson(verdicts).dump(2) + "\n" : ToText(verdicts));
  const bool fits = std::all_of(verdicts.begin(), verdicts.end(),
                                [](const DeviceVerdict& verdict) { return verdict.admitted; });
  return fits ? kExitOk : kExitFailed;
}

}  // namespace stagger::cli
