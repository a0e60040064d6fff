// stagger move: sends the inferences of a running app to other executors, and waits until they go
// there.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cli/verbs.h"
#include "console/arguments.h"
#include "documents/json.h"
#include "launch/daemon_control.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

constexpr Duration kLook = std::chrono::milliseconds{50};

// Which of the streams that were told are not there yet; empty: all are.
struct Progress {
  std::vector<std::string> behind;  // "gate (on executor-cpu:0)"
  int forwarding = 0;
};

Progress Look(const documents::Status& status, const documents::Assigned& given) {
  const auto sorted = [](documents::Names names) {
    std::ranges::sort(names);
    return names;
  };
  const documents::Names to = sorted(given.on.value_or(documents::Names()));
  Progress progress;
  for (const documents::Stream& stream : status.streams) {
    if (std::ranges::count(given.streams, stream.name) == 0 || !stream.forwards) continue;
    ++progress.forwarding;
    documents::Names on = sorted(stream.on.value_or(documents::Names()));
    if (on == to) continue;
    if (on.empty()) on.emplace_back("the app");
    progress.behind.push_back(fmt::format("{} (on {})", stream.name, fmt::join(on, ", ")));
  }
  return progress;
}

}  // namespace

int MoveVerb(const Arguments& arguments) {
  CLI::App app{
      "Sends the inferences of a running app to other executors. Works for apps that were started "
      "with --executor; holds for apps that start with that name later, too.",
      "stagger move"};
  std::string name;
  std::vector<std::string> to;
  bool here = false;
  bool forget = false;
  double wait_s = 10;
  std::string socket;
  app.add_option("app", name, "the stream's name")->required();
  auto* where = app.add_option_group("where");
  where->add_option("--to", to, "sockets or names of executors, commas between")->delimiter(',');
  where->add_flag("--here", here, "the app runs them itself");
  where->add_flag("--forget", forget, "leave it where it is, and tell later ones nothing");
  where->require_option(1);
  app.add_option("--wait", wait_s, "seconds to wait until it has moved")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  app.add_option("--socket", socket, "the daemon's socket");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  socket = SocketPath(socket);

  for (std::string& executor : to) {
    if (executor.find('/') != std::string::npos) {
      executor = std::filesystem::absolute(executor).string();
    }
  }
  json body{{"name", name}, {"executors", to}, {"reason", "stagger move"}};
  if (forget) body["executors"] = nullptr;
  const Result<json> answer = AskDaemon(socket, "assign", body);
  if (!answer) {
    PrintError("move: " + answer.error().message);
    return kExitFailed;
  }
  if (forget) return kExitOk;
  const auto given = documents::Read<documents::Assigned>(*answer);
  const TimePoint until = Now() + FromMs(wait_s * 1000);
  while (true) {
    const Result<documents::Status> status = AskStatus(socket);
    if (!status) {
      PrintError("move: " + status.error().message);
      return kExitFailed;
    }
    const Progress progress = Look(*status, given);
    if (progress.forwarding == 0) {
      PrintError(fmt::format(
          "move: no stream '{}' that forwards is here; the next one of that name goes there",
          name));
      return kExitOk;
    }
    if (progress.behind.empty()) return kExitOk;
    if (Now() >= until) {
      PrintError(
          fmt::format("move: not within {:g} s: {}", wait_s, fmt::join(progress.behind, ", ")));
      return kExitFailed;
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace stagger::cli
