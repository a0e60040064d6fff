// stagger relay: becomes stagger-relay, a program of its own, so that only who relays a video needs
// GStreamer.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/arguments.h"
#include "cli/installation.h"
#include "cli/verbs.h"

namespace stagger::cli {

int RelayVerb(const Arguments& arguments) {
  const Result<Installation> installation = Installation::Find();
  if (!installation) {
    PrintError(installation.error().message);
    return kExitFailed;
  }
  const Result<std::string> program = installation->Relay();
  if (!program) {
    PrintError("relay: " + program.error().message);
    return kExitFailed;
  }
  std::vector<char*> argv{const_cast<char*>("stagger-relay")};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(program->c_str(), argv.data());
  PrintError(fmt::format("relay: cannot run {}: {}", *program, std::strerror(errno)));
  return kExitFailed;
}

}  // namespace stagger::cli
