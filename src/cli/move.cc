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

using Names = std::vector<std::string>;

// A list of text in the daemon's answer, sorted.
Names NamesIn(const json& object, const char* key) {
  Names names;
  for (const json& name : object.value(key, json::array())) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  std::ranges::sort(names);
  return names;
}

Progress Look(const json& status, const Names& told, const Names& to) {
  Progress progress;
  for (const json& stream : status.value("streams", json::array())) {
    const std::string name = stream.value("name", "");
    if (std::ranges::count(told, name) == 0 || !stream.value("forwards", false)) continue;
    ++progress.forwarding;
    Names on = NamesIn(stream, "on");
    if (on == to) continue;
    if (on.empty()) on.emplace_back("the app");
    progress.behind.push_back(fmt::format("{} (on {})", name, fmt::join(on, ", ")));
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
  const Names told = NamesIn(*answer, "streams");
  const Names to_be_on = NamesIn(*answer, "on");
  const TimePoint until = Now() + FromMs(wait_s * 1000);
  while (true) {
    const Result<json> status = AskDaemon(socket, "status");
    if (!status) {
      PrintError("move: " + status.error().message);
      return kExitFailed;
    }
    const Progress progress = Look(*status, told, to_be_on);
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
