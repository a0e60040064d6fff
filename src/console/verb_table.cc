#include "console/verb_table.h"

#include <fmt/core.h>

#include <exception>

namespace stagger::cli {
namespace {

std::string VerbNames(const Program& program) {
  std::string names;
  for (const Verb& verb : program.verbs)
    names += (names.empty() ? "" : ", ") + std::string(verb.name);
  return names;
}

void PrintHelp(const Program& program) {
  fmt::print("{}: {}\n\n", program.name, program.purpose);
  fmt::print("usage: {0} VERB [options]      {0} VERB --help explains a verb\n\n", program.name);
  for (const Verb& verb : program.verbs) fmt::print("  {:<8} {}\n", verb.name, verb.summary);
  fmt::print("\nexit codes: 0 ok, 1 failed, 2 bad usage, 130 interrupted\n{}", program.footer);
}

}  // namespace

int RunGuarded(int (*run)(const Arguments&), const Arguments& arguments) {
  // Libraries below may throw (out of memory, a broken standard stream): still one line.
  try {
    return run(arguments);
  } catch (const std::exception& e) {
    PrintError(e.what());
    return kExitFailed;
  }
}

int RunProgram(const Program& program, const Arguments& arguments) {
  if (arguments.empty()) {
    PrintError(fmt::format("which verb? one of {} (or --help)", VerbNames(program)));
    return kExitUsage;
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    PrintHelp(program);
    return kExitOk;
  }
  if (name == "--version") {
    fmt::print("{} {}\n", program.name, STAGGER_VERSION);
    return kExitOk;
  }
  for (const Verb& verb : program.verbs) {
    if (name != verb.name) continue;
    return RunGuarded(verb.run, Arguments(arguments.begin() + 1, arguments.end()));
  }
  PrintError(fmt::format("unknown verb '{}'; known: {}", name, VerbNames(program)));
  return kExitUsage;
}

}  // namespace stagger::cli
