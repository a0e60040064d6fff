#include "site/simulated_latency.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "launch/installation.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

constexpr double kMostFrames = 300'000;  // of all streams in the simulated time
constexpr double kSimulatedSeconds = 30;

// What `program plan-latency` answers to `question`; empty where that fails.
std::string Ask(const std::string& program, const std::string& question) {
  UniqueFd input(memfd_create("plan", MFD_CLOEXEC));
  int ends[2];
  if (!input.valid() || pipe2(ends, O_CLOEXEC) != 0) return "";
  UniqueFd output(ends[0]);
  UniqueFd child_output(ends[1]);
  if (write(input.get(), question.data(), question.size()) !=
          static_cast<ssize_t>(question.size()) ||
      lseek(input.get(), 0, SEEK_SET) != 0) {
    return "";
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), STDOUT_FILENO);
  std::string name = "stagger-lab";
  std::string verb = "plan-latency";
  char* argv[] = {name.data(), verb.data(), nullptr};
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return "";
  child_output.Reset();
  std::string answer;
  char buffer[65536];
  for (ssize_t got; (got = read(output.get(), buffer, sizeof buffer)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  output.Reset();  // a program that still writes, since a signal ended the reading, ends too
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? answer : "";
}

}  // namespace

std::map<std::string, double> SimulatedLatency(const placement::PlacementProblem& problem,
                                               const placement::Plan& plan) {
  double frames = 0;
  for (std::size_t i = 0; i < plan.streams.size(); ++i) {
    if (!plan.streams[i].empty()) frames += problem.streams[i].fps * kSimulatedSeconds;
  }
  if (frames == 0 || frames > kMostFrames) return {};
  const Result<Installation> installation = Installation::Find();
  if (!installation) return {};
  const Result<std::string> program = installation->Program("stagger-lab");
  if (!program) return {};
  const json answer = json::parse(Ask(*program, ToJson({problem, plan}).dump()), nullptr, false);
  std::map<std::string, double> p95;
  if (!answer.is_object()) return p95;
  for (const auto& [stream, ms] : answer.items()) {
    if (ms.is_number()) p95[stream] = ms.get<double>();
  }
  return p95;
}

json ToJson(const PlacedSite& site) {
  json text{{"devices", json::array()}, {"streams", json::array()}};
  for (const placement::PlanDevice& device : site.problem.devices) {
    text["devices"].push_back(
        {{"name", device.name}, {"speed", device.speed}, {"memory_gb", device.memory_gb}});
  }
  for (std::size_t i = 0; i < site.plan.streams.size(); ++i) {
    const placement::StreamNeed& need = site.problem.streams[i];
    if (site.plan.streams[i].empty()) continue;
    text["streams"].push_back({{"name", need.name},
                               {"fps", need.fps},
                               {"pre_ns", need.pre.count()},
                               {"body_ns", need.body.count()},
                               {"post_ns", need.post.count()},
                               {"deadline_ns", need.deadline.count()},
                               {"load_ns", need.load.count()},
                               {"memory_gb", need.memory_gb},
                               {"on", site.plan.streams[i]}});
  }
  return text;
}

Result<PlacedSite> PlacedSiteFrom(const json& text) try {
  PlacedSite site;
  for (const json& device : text.at("devices")) {
    site.problem.devices.push_back({.name = device.at("name"),
                                    .speed = device.at("speed"),
                                    .memory_gb = device.at("memory_gb")});
  }
  for (const json& stream : text.at("streams")) {
    placement::StreamNeed need;
    need.name = stream.at("name");
    need.fps = stream.at("fps");
    need.pre = Duration{stream.at("pre_ns")};
    need.body = Duration{stream.at("body_ns")};
    need.post = Duration{stream.at("post_ns")};
    need.deadline = Duration{stream.at("deadline_ns")};
    need.load = Duration{stream.at("load_ns")};
    need.memory_gb = stream.at("memory_gb");
    site.problem.streams.push_back(std::move(need));
    site.plan.streams.push_back(stream.at("on"));
    for (const std::uint32_t device : site.plan.streams.back()) {
      if (device >= site.problem.devices.size()) return Error{"a stream is on no device"};
    }
  }
  return site;
} catch (const json::exception& e) {
  return Error{e.what()};
}

}  // namespace stagger::cli
