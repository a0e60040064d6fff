// stagger run: becomes the app, with the agent preloaded. Nothing of ours stays between the app and
// its terminal, its signals or its parent.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/app_environment.h"
#include "cli/arguments.h"
#include "cli/daemon_control.h"
#include "cli/installation.h"
#include "cli/mps_client.h"
#include "cli/preload.h"
#include "cli/verbs.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr Duration kMpsAnswerLimit = std::chrono::seconds{1};

}  // namespace

int RunVerb(const Arguments& arguments) {
  // All after the first "--" is the app's own, whatever it looks like.
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  const Arguments own(arguments.begin(), separator);
  const Arguments command(separator == arguments.end() ? separator : separator + 1,
                          arguments.end());

  CLI::App app{
      "Starts an app under control and becomes it.\n"
      "stagger run [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger run"};
  StreamSettings stream;
  std::string socket;
  app.add_option("--name", stream.name, "the stream's name in status and logs");
  app.add_option("--fps", stream.fps, "the rate this stream needs")->check(CheckPositive);
  app.add_option("--deadline", stream.deadline_ms, "milliseconds a result may take")
      ->check(CheckPositive);
  app.add_option("--weight", stream.weight, "who gives way under overload (default 1)")
      ->check(CheckPositive);
  app.add_option("--min-fps", stream.min_fps, "under overload the rate does not go below")
      ->check(CheckNotNegative);
  std::string excess;
  app.add_option("--excess", excess,
                 "calls beyond --fps: pace (default; they wait), reuse (they return the outputs of "
                 "the call before; ONNX Runtime only) or pass (they go through)")
      ->check([](const std::string& word) {
        return ParseExcess(word) ? std::string()
                                 : fmt::format("'{}': expected {}", word, kExcessNames);
      });
  app.add_option("--gpu-threads", stream.gpu_threads_percent,
                 "percent of a GPU's threads that it may fill, under MPS")
      ->check(CLI::Range(kLeastGpuThreads, 100.0));
  app.add_option("--gpu-memory", stream.gpu_memory_gb,
                 "GB of each GPU's memory that it may have, under MPS")
      ->check(CLI::Range(kLeastGpuMemory, 1000.0));
  app.add_option("--executor", stream.executors,
                 "sockets of executors that run its inferences (stagger-executor --socket), or "
                 "auto: wherever the daemon says (stagger move)")
      ->delimiter(',');
  app.add_option(
         "--pipeline", stream.pipeline,
         "return each result N calls later, for an app that calls one frame at a time; needs "
         "--executor, and the output is not the app's own any more")
      ->check(CLI::Range(1, kMaxPipeline));
  app.add_option("--socket", socket, "the daemon's socket");
  app.footer("Everything after -- is the app's own command line.");
  const bool help = std::any_of(own.begin(), own.end(), [](const std::string& word) {
    return word == "--help" || word == "-h";
  });
  if (command.empty() && !help) {
    PrintError("run: no command; usage: stagger run [options] -- COMMAND [ARGUMENT...]");
    return kExitUsage;
  }
  if (const auto code = ParseArguments(app, own)) return *code;
  if (const Result<void> valid = CheckStreamName(stream.name); !valid) {
    PrintError("run: --name: " + valid.error().message);
    return kExitUsage;
  }
  stream.excess = ParseExcess(excess);
  if (const Result<void> valid = CheckExcess(stream); !valid) {
    PrintError("run: --excess " + valid.error().message);
    return kExitUsage;
  }
  if (std::erase(stream.executors, "auto") > 0) {
    stream.forwards = true;
    if (!stream.executors.empty()) {
      PrintError("run: --executor: either auto or sockets");
      return kExitUsage;
    }
  }
  if (stream.pipeline > 0 && !stream.forwards && stream.executors.empty()) {
    PrintError("run: --pipeline: only with --executor, which has other processes run the frames");
    return kExitUsage;
  }
  for (std::string& executor : stream.executors) {
    executor = std::filesystem::absolute(executor).string();  // the app may go elsewhere
    if (const Result<UniqueFd> there = wire::Connect(executor); !there) {
      PrintError(
          fmt::format("warning: no executor answers at {}: sessions that '{}' makes before "
                      "one does run in the app",
                      executor, command.front()));
    }
  }

  const std::string path = FindInPath(command.front());
  if (path.empty()) {
    const bool has_slash = command.front().find('/') != std::string::npos;
    PrintError(fmt::format("cannot run '{}': {}", command.front(),
                           has_slash ? "no such program" : "not found in PATH"));
    return kExitFailed;
  }
  const Result<Installation> installation = Installation::Find();
  if (!installation) {
    PrintError(installation.error().message);
    return kExitFailed;
  }
  const Result<std::string> agent = installation->Agents();
  if (!agent) {
    PrintError(agent.error().message);
    return kExitFailed;
  }
  socket = SocketPath(socket);
  const Result<void> listens = DaemonListens(socket);
  if (!listens) {
    PrintError(fmt::format("warning: '{}' runs uncontrolled until a daemon answers: {}",
                           command.front(), listens.error().message));
  }

  const Preload preload = PreloadOf(path);
  if (!preload.why_not.empty()) {
    PrintError(
        fmt::format("warning: '{}' runs uncontrolled: {}", command.front(), preload.why_not));
  }
  if (const std::string trouble = Installation::DriverTrouble(); !trouble.empty()) {
    PrintError("warning: GPU calls are not controlled: the CUDA driver does not load: " + trouble);
  }
  Environment environment = AppEnvironment(preload.wanted ? *agent : "", socket, stream);
  // Only who may use a GPU is kept waiting for the answer, and by a daemon that hangs not for long.
  if (*agent != *installation->Agent() || WantsLimits(stream)) {
    const Result<MpsView> asked =
        listens ? AskMps(socket, kMpsAnswerLimit) : Result<MpsView>(listens.error());
    MpsView mps;
    if (asked) {
      mps = *asked;
    } else {
      mps.reason = asked.error().message;
    }
    environment.merge(MpsEnvironment(mps, stream));
    if (const auto why = WhyNoLimits(mps, stream)) {
      PrintError(fmt::format("warning: '{}': {}", command.front(), *why));
    }
  }
  for (const auto& [variable, value] : environment) {
    setenv(variable.c_str(), value.c_str(), 1);
  }
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  PrintError(fmt::format("cannot run '{}': {}", command.front(), std::strerror(errno)));
  return kExitFailed;
}

}  // namespace stagger::cli
