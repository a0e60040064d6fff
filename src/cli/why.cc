// stagger why: what a stream needs and gets, what it waits for, and why, in plain sentences.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>

#include "cli/verbs.h"
#include "cli/why_text.h"
#include "console/arguments.h"
#include "launch/daemon_control.h"

namespace stagger::cli {

int WhyVerb(const Arguments& arguments) {
  CLI::App app{"Says why a stream gets what it gets: its rate, what it waits for, whether it fits.",
               "stagger why"};
  std::string name;
  bool as_json = false;
  std::string socket;
  app.add_option("APP", name,
                 "a stream as 'stagger status' names it, an app of a site with copies, an executor "
                 "(executor-cpu:0), or a pid")
      ->required();
  app.add_flag("--json", as_json, "one JSON object instead of text");
  app.add_option("--socket", socket, "the daemon's socket");
  if (const auto code = ParseArguments(app, arguments)) return *code;

  const Result<nlohmann::json> answer = AskDaemon(SocketPath(socket), "why", {{"name", name}});
  if (!answer) {
    PrintError("why: " + answer.error().message);
    return kExitFailed;
  }
  if (as_json) {
    fmt::print("{}\n", answer->dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}", WhyText(*answer));
  }
  return kExitOk;
}

}  // namespace stagger::cli
