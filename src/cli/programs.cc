// Verbs that become programs of their own: only machines that use them need what they are built of.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/verbs.h"
#include "launch/installation.h"

namespace stagger::cli {
namespace {

int Become(const std::string& name, const Arguments& arguments) {
  const Result<Installation> installation = Installation::Find();
  const Result<std::string> program =
      installation ? installation->Program(name) : installation.error();
  if (!program) {
    PrintError(program.error().message);
    return kExitFailed;
  }
  std::vector<char*> argv{const_cast<char*>(name.c_str())};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(program->c_str(), argv.data());
  PrintError(fmt::format("cannot run {}: {}", *program, std::strerror(errno)));
  return kExitFailed;
}

int InLaboratory(const char* verb, Arguments arguments) {
  arguments.insert(arguments.begin(), verb);
  return Become("stagger-lab", arguments);
}

}  // namespace

int RelayVerb(const Arguments& arguments) { return Become("stagger-relay", arguments); }
int DemoVerb(const Arguments& arguments) { return Become("stagger-demo", arguments); }
int BenchVerb(const Arguments& arguments) { return InLaboratory("bench", arguments); }
int SimVerb(const Arguments& arguments) { return InLaboratory("sim", arguments); }
int AdmitVerb(const Arguments& arguments) { return InLaboratory("admit", arguments); }
int VgpuVerb(const Arguments& arguments) { return InLaboratory("vgpu", arguments); }
int OverlapVerb(const Arguments& arguments) { return InLaboratory("overlap", arguments); }

}  // namespace stagger::cli
