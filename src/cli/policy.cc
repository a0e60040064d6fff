// stagger policy: changes the policy of a running daemon.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "cli/verbs.h"
#include "console/arguments.h"
#include "core/policies.h"
#include "launch/daemon_control.h"

namespace stagger::cli {

int PolicyVerb(const Arguments& arguments) {
  CLI::App app{"Changes the order of turns while everything runs.", "stagger policy"};
  std::string name;
  std::string concurrency;
  std::optional<double> demand_limit;
  std::optional<double> spacing;
  std::string socket;
  app.add_option("name", name, core::PolicyChoices(core::TurnsOf::kApps))->required();
  app.add_option("--concurrency", concurrency,
                 "how many bodies may run at once on a device; 0: one per core; auto: as many as "
                 "serve most frames in time")
      ->check(CLI::IsMember({"auto"}) | CLI::Range(0, 1024));
  app.add_option("--demand-limit", demand_limit,
                 "bodies run together while what they fill of a device adds up to no more; 1: they "
                 "just fit")
      ->check(CLI::Range(1.0, core::kMaxDemandLimit));
  app.add_option("--spacing", spacing, "under spaced: ms between two starts")
      ->check(CLI::Range(0.0, ToMs(core::kMaxSpacing)));
  app.add_option("--socket", socket, "the daemon's socket");
  if (const auto code = ParseArguments(app, arguments)) return *code;

  nlohmann::json body{{"name", name}};
  if (!concurrency.empty()) body["concurrency"] = ConcurrencyArgument(concurrency);
  if (demand_limit) body["demand_limit"] = *demand_limit;
  if (spacing) body["spacing_ms"] = *spacing;
  const Result<nlohmann::json> answer = AskDaemon(SocketPath(socket), "policy", body);
  if (!answer) {
    PrintError("policy: " + answer.error().message);
    return kExitFailed;
  }
  return kExitOk;
}

}  // namespace stagger::cli
