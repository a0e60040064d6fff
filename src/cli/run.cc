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

#include "cli/verbs.h"
#include "console/arguments.h"
#include "console/sentences.h"
#include "launch/app_environment.h"
#include "launch/daemon_control.h"
#include "launch/installation.h"
#include "launch/mps_client.h"
#include "launch/preload.h"
#include "site/applied_plan.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr Duration kMpsAnswerLimit = std::chrono::seconds{1};

// What an app that wants a place in the daemon's plan says it costs.
struct PlaceWish {
  std::string like;
  std::string profile;
  bool asked() const { return !like.empty() || !profile.empty(); }
};

Result<nlohmann::json> ReadProfile(const std::string& text) {
  nlohmann::json fields = nlohmann::json::object();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string field = text.substr(at, end - at);
    const std::size_t equals = std::min(field.find('='), field.size());
    const std::string name = field.substr(0, equals);
    const std::string number = field.substr(std::min(equals + 1, field.size()));
    const bool known =
        name == "pre_ms" || name == "body_ms" || name == "post_ms" || name == "memory_gb";
    if (!known || !CheckNotNegative(number).empty()) {
      return Error{
          fmt::format("--profile: '{}'; expected pre_ms, body_ms, post_ms or memory_gb, '=' "
                      "and a number >= 0",
                      field)};
    }
    fields[name] = std::strtod(number.c_str(), nullptr);
    at = end + 1;
  }
  if (fields.value("body_ms", 0.0) <= 0) {
    return Error{fmt::format("--profile: '{}' has no body_ms > 0", text)};
  }
  return fields;
}

Result<void> CheckWish(const PlaceWish& wish, const StreamSettings& stream) {
  if (!wish.asked()) return {};
  if (!wish.like.empty() && !wish.profile.empty()) {
    return Error{"--profile: not beside --like; expected one of them"};
  }
  if (stream.name.empty() || !stream.fps) {
    return Error{
        "--like, --profile: a place is for a --name and a rate; expected --name and --fps"};
  }
  if (!stream.executors.empty() || stream.forwards) {
    return Error{"--executor: not beside --like or --profile, where the daemon says which"};
  }
  if (wish.profile.empty()) return {};
  const Result<nlohmann::json> fields = ReadProfile(wish.profile);
  if (!fields) return fields.error();
  return {};
}

// As the daemon takes it; the wish has been checked.
nlohmann::json NeedOf(const PlaceWish& wish, const StreamSettings& stream) {
  nlohmann::json need =
      wish.profile.empty() ? nlohmann::json{{"like", wish.like}} : *ReadProfile(wish.profile);
  need["name"] = stream.name;
  need["fps"] = *stream.fps;
  if (stream.deadline_ms) need["deadline_ms"] = *stream.deadline_ms;
  if (stream.pipeline > 0) need["pipeline"] = stream.pipeline;
  if (stream.weight) need["weight"] = *stream.weight;
  return need;
}

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
  PlaceWish wish;
  app.add_option(kNameSetting.flag, stream.name, kNameSetting.help);
#define STAGGER_TOLD_SETTING(field, spec, type, unset, flag, variable, low, high, kind, help) \
  app.add_option(flag, stream.field, help)->check((low) > 0 ? CheckPositive : CheckNotNegative);
#define STAGGER_KEPT_SETTING(field, flag, low, high, help) \
  app.add_option(flag, stream.field, help)->check(CLI::Range(low, high));
#include "base/stream_settings.inc"
  std::string excess;
  app.add_option(kExcessSetting.flag, excess, kExcessSetting.help)
      ->check([](const std::string& word) {
        return ParseExcess(word) ? std::string()
                                 : fmt::format("'{}': expected {}", word, kExcessNames);
      });
  app.add_option(kExecutorSetting.flag, stream.executors, kExecutorSetting.help)->delimiter(',');
  app.add_option(kPipelineSetting.flag, stream.pipeline, kPipelineSetting.help)
      ->check(CLI::Range(1, kMaxPipeline));
  app.add_option("--like", wish.like,
                 "ask the daemon's plan for a place: its inferences cost what those of this app "
                 "do, which has one");
  app.add_option("--profile", wish.profile,
                 "likewise: they cost this on a device of speed 1, as in pre_ms=2,body_ms=45,"
                 "post_ms=28,memory_gb=1.2");
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
  if (stream.pipeline > 0 && !stream.forwards && stream.executors.empty() && !wish.asked()) {
    PrintError(
        "run: --pipeline: only with --executor, --like or --profile, which has other processes run "
        "the frames");
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

  if (const Result<void> valid = CheckWish(wish, stream); !valid) {
    PrintError("run: " + valid.error().message);
    return kExitUsage;
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

  // From here on this process has the place, and the app that it becomes.
  Place place;
  if (wish.asked()) {
    Result<Place> given = listens ? AskForPlace(socket, NeedOf(wish, stream)) : listens.error();
    if (!given) {
      PrintError(fmt::format("run: '{}' was not started: {}", stream.name, given.error().message));
      return kExitFailed;
    }
    place = std::move(given).value();
    stream.executors = place.executors;
    PrintError(fmt::format("{}: on {}: {}", stream.name, Join(place.devices, ", "), place.reason));
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
  environment.merge(PlaceEnvironment(place));
  // Only apps that may use a GPU wait for the answer, and not for long where the daemon hangs.
  if (*agent != *installation->Agent() || WantsLimits(stream)) {
    Result<documents::Status> daemon = listens.error();
    if (listens) daemon = AskStatus(socket, kMpsAnswerLimit);
    if (!daemon) {
      const std::string why = daemon.error().message;
      daemon = documents::Status();
      daemon->mps.reason = why;
    }
    environment.merge(MpsEnvironment(*daemon, stream));
    if (const auto why = WhyNoLimits(*daemon, stream)) {
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
