// stagger policy: changes the policy of a running daemon.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "cli/arguments.h"
#include "cli/daemon_control.h"
#include "cli/verbs.h"

namespace stagger::cli {

int PolicyVerb(const Arguments& arguments) {
  CLI::App app{"Changes who gets the next turn while everything runs.", "stagger policy"};
  std::string name;
  std::optional<int> concurrency;
  std::string socket;
  app.add_option("name", name, "off (nobody waits) or fifo (whoever asked first)")->required();
  app.add_option("--concurrency", concurrency,
                 "how many bodies may run at once on a device; 0: one per core")
      ->check(CLI::Range(0, 1024));
  app.add_option("--socket", socket, "the daemon's socket");
  if (const auto code = ParseArguments(app, arguments)) return *code;

  nlohmann::json body{{"name", name}};
  if (concurrency) body["concurrency"] = *concurrency;
  const Result<nlohmann::json> answer = AskDaemon(SocketPath(socket), "policy", body);
  if (!answer) {
    PrintError("policy: " + answer.error().message);
    return kExitFailed;
  }
  return kExitOk;
}

}  // namespace stagger::cli
