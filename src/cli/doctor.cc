// stagger doctor: what of an app is controlled, what is not, and every way past control that was
// seen.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "base/stream_settings.h"
#include "base/try.h"
#include "cli/verbs.h"
#include "console/arguments.h"
#include "launch/preload.h"
#include "launch/program_file.h"
#include "look/diagnosis.h"
#include "look/observed_run.h"
#include "look/process_watch.h"
#include "report/page.h"

namespace stagger::cli {
namespace {

// Why nothing can be preloaded into a program; nullopt: nothing stands in the way.
std::optional<std::string> Obstacle(const std::string& program) {
  const Preload preload = PreloadOf(program);
  if (preload.why_not.empty()) return std::nullopt;
  return program + ": " + preload.why_not;
}

// Adds what can be told from files.
void LookAtFiles(const std::vector<WatchedProgram>& watched, std::vector<ProgramFacts>* programs) {
  std::map<std::string, std::vector<std::string>> inside;
  const auto runtimes_inside = [&](const std::string& path) -> const std::vector<std::string>& {
    const auto known = inside.find(path);
    if (known != inside.end()) return known->second;
    // What is known by its name is what its name says.
    return inside[path] = report::Recognise(path) != nullptr ? std::vector<std::string>{}
                                                             : RuntimesInside(path);
  };
  for (ProgramFacts& facts : *programs) {
    if (!facts.agent && !facts.program.empty()) facts.obstacle = Obstacle(facts.program);
    std::set<std::string> files{facts.program};
    for (const WatchedProgram& seen : watched) {
      if (seen.pid == facts.pid && seen.program == facts.program) {
        files.insert(seen.code.begin(), seen.code.end());
      }
    }
    for (const std::string& file : files) {
      for (const std::string& runtime : runtimes_inside(file)) {
        facts.inside.emplace_back(runtime, file);
      }
    }
  }
}

Result<Diagnosis> Run(Workplace& place, const ObservedCommand& told, const Environment& more,
                      Observed* observed) {
  const std::string agent = STAGGER_TRY(place.installation.Agent());
  const std::string agents = STAGGER_TRY(place.installation.Agents());
  ProcessWatch watch;
  *observed = STAGGER_TRY(Observe(
      place, told.command, told.limit, [&](pid_t root) { return watch.Look(root); }, more));
  const std::vector<WatchedProgram> watched = watch.programs();
  std::vector<ProgramFacts> programs = Together(observed->programs, watched);
  const auto is_the_command = [&](const ProgramFacts& facts) { return facts.pid == observed->pid; };
  if (std::ranges::none_of(programs, is_the_command)) {  // gone before anybody looked
    ProgramFacts facts;
    facts.pid = observed->pid;
    facts.program = told.command.path;
    programs.push_back(std::move(facts));
  }
  LookAtFiles(watched, &programs);
  Diagnosis diagnosis = Diagnose(std::move(programs), agents != agent);
  diagnosis.device_problems = observed->device_problems;
  return diagnosis;
}

// Absolute: the app may go elsewhere.
Environment ExecutorEnvironment(std::vector<std::string> executors, unsigned pipeline) {
  for (std::string& executor : executors) {
    executor = std::filesystem::absolute(executor).string();
  }
  Environment environment;
  if (!executors.empty()) {
    environment[kExecutorSetting.variable] = fmt::format("{}", fmt::join(executors, ","));
  }
  if (pipeline > 0) environment[kPipelineSetting.variable] = std::to_string(pipeline);
  return environment;
}

}  // namespace

int DoctorVerb(const Arguments& arguments) {
  CLI::App app{
      "Runs an app and says which of its calls are controlled, and what can escape.\n"
      "stagger doctor [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger doctor"};
  ObservedCommand told;
  std::vector<std::string> executors;
  unsigned pipeline = 0;
  CLI::Option* names =
      app.add_option("--executor", executors,
                     "sockets of executors, as for 'stagger run': what goes to them, and what does "
                     "not and why")
          ->delimiter(',');
  app.add_option("--pipeline", pipeline, "as for 'stagger run'")
      ->check(CLI::Range(0, 16))
      ->needs(names);
  app.footer(
      "Everything after -- is the app's own command line. What the app prints goes to stderr.");
  if (const auto code = ReadObservedCommand(app, "doctor", arguments, &told)) return *code;
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  if (const auto obstacle = Obstacle(told.command.path)) {
    PrintError(fmt::format("doctor: {}", *obstacle));
  }
  Observed observed;
  const Result<Diagnosis> diagnosis =
      Run(*place, told, ExecutorEnvironment(std::move(executors), pipeline), &observed);
  if (!diagnosis) {
    PrintError("doctor: " + diagnosis.error().message);
    return kExitFailed;
  }
  if (told.as_json) {
    nlohmann::ordered_json json{{"command", told.command.words}, {"ended", HowItEnded(observed)}};
    json.update(ToJson(*diagnosis));
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    fmt::print("{} {}\n\n{}", told.command.words.front(), HowItEnded(observed), ToText(*diagnosis));
  }
  return kExitOk;
}

}  // namespace stagger::cli
