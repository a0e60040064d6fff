#include "site/site_plan.h"

#include <fmt/core.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "base/clock.h"
#include "console/sentences.h"
#include "launch/daemon_control.h"
#include "planner/clp.h"
#include "planner/make_plan.h"
#include "site/plan_report.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kStreamsAtOnce = 60;  // in one request, which is one packet
constexpr std::size_t kMostShown = 8;       // streams that do not fit
constexpr std::size_t kMostParts = 8;       // executors of one app
constexpr Duration kTakeOverLimit = std::chrono::milliseconds{300};  // the apps' output waits

// Error: a core that this process may not use.
Result<void> CheckCores(const Site& site) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::vector<std::string> there;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) there.push_back(fmt::format("cpu:{}", core));
  }
  for (const SiteDevice& device : site.declared) {
    if (!device.on.starts_with("cpu:") || std::ranges::count(there, device.on) > 0) continue;
    return Error{
        fmt::format("devices: {} is on {}, and there is no such core for this process; "
                    "expected one of {}",
                    device.plan.name, device.on, Join(there, ", "))};
  }
  return {};
}

// On the devices of the site that suit it, each as if it were there in any number.
std::size_t LeastParts(const placement::PlacementProblem& problem, std::size_t stream) {
  const placement::StreamNeed& need = problem.streams[stream];
  int least = 0;
  for (const placement::PlanDevice& device : problem.devices) {
    if (!placement::Suits(need.kind, device.kind)) continue;
    const int parts = placement::PartsOn(need, device.speed);
    if (least == 0 || parts < least) least = parts;
  }
  return static_cast<std::size_t>(least);
}

Result<Place> PlaceOf(const json& answer, const std::string& stream) {
  for (const json& entry : answer.value("streams", json::array())) {
    if (entry.value("name", "") != stream) continue;
    return Place{entry.value("devices", std::vector<std::string>()),
                 entry.value("executors", std::vector<std::string>()),
                 entry.value("gpus", std::vector<std::string>()), entry.value("reason", "")};
  }
  return Error{fmt::format("the daemon has no place for '{}'", stream)};
}

}  // namespace

std::string WhyNotSplit(const StreamSettings& stream, std::size_t parts, bool executor) {
  if (parts < 2) return "";
  const std::string split = fmt::format(
      "{}: it would have to be split over {} devices, since its inference takes longer than its "
      "period",
      stream.name, parts);
  if (!executor) {
    return split +
           "; only an app whose inferences run in executors can be. Lower its fps, or give "
           "it a faster device";
  }
  if (parts > kMostParts) return split + fmt::format("; {} are the most", kMostParts);
  if (stream.pipeline + 1 < static_cast<int>(parts)) {
    return fmt::format(
        "{}. An app that calls one frame at a time needs a pipeline of {} for that (pipeline: {}, "
        "--pipeline {}): each result comes {} calls later, so its output changes. Else lower its "
        "fps",
        split, parts - 1, parts - 1, parts - 1, parts - 1);
  }
  return "";
}

bool HasPlan(const Site& site) {
  return !site.declared.empty() && !site.declared.front().on.empty();
}

Result<SitePlan> SitePlan::Begin(const Site& site) {
  if (const auto cores = CheckCores(site); !cores) return cores.error();
  const Result<PlanSite> planned = PlanSiteOf(site);
  if (!planned) return planned.error();
  SitePlan plan;
  plan.devices_ = site.declared;
  plan.problem_ = planned->Problem();
  plan.restarts_ = site.restart_on_move;
  for (std::size_t i = 0; i < site.apps.size(); ++i) {
    const SiteApp& app = site.apps[i];
    const std::string why = WhyNotSplit(app.stream, LeastParts(plan.problem_, i), app.executor);
    if (!why.empty()) return Error{why};
    plan.weights_[app.stream.name] = app.stream.weight.value_or(1);
  }
  return plan;
}

Result<SitePlan> SitePlan::Make(const Site& site, bool partial, double seconds) {
  Result<SitePlan> plan = Begin(site);
  if (!plan) return plan;
  const TimePoint end = Now() + FromMs(seconds * 1000);
  planner::PatternBudget budget;
  budget.enough = [end] { return Now() >= end; };
  plan->made_ = planner::MakePlan(plan->problem_, planner::NewClp, budget);
  if (const Result<void> good = plan->Check(partial); !good) return good.error();
  return plan;
}

Result<SitePlan> SitePlan::ChangedTo(const Site& site, bool partial) const {
  Result<SitePlan> plan = Begin(site);
  if (!plan) return plan;
  std::map<std::string, std::uint32_t> known;
  for (std::uint32_t i = 0; i < problem_.streams.size(); ++i) known[problem_.streams[i].name] = i;
  placement::Plan current{std::vector<placement::PlacedOn>(plan->problem_.streams.size())};
  for (std::uint32_t i = 0; i < current.streams.size(); ++i) {
    const auto found = known.find(plan->problem_.streams[i].name);
    if (found != known.end()) current.streams[i] = made_.plan.streams[found->second];
  }
  plan->made_ = placement::KeepPlan(plan->problem_, current);
  plan->finished_ = finished_;
  plan->daemon_ = daemon_;
  plan->sockets_ = sockets_;
  if (const Result<void> good = plan->Check(partial); !good) return good.error();
  return plan;
}

Result<void> SitePlan::Check(bool partial) {
  if (const auto fault = placement::FaultOf(problem_, made_.plan)) {
    return Error{"the plan found is wrong, which is a bug: " + *fault};
  }
  if (placement::StreamsPlaced(made_.plan) == problem_.streams.size()) return {};
  const PlanReport report = ReportOf(problem_, made_);
  std::vector<std::string> lines;
  for (const PlanReport::Stream& stream : report.streams) {
    if (!stream.devices.empty()) continue;
    why_not_[stream.name] = stream.reason;
    lines.push_back(fmt::format("  {} {}", stream.name, stream.reason));
  }
  if (partial) return {};
  const std::size_t left = lines.size();
  if (left > kMostShown) {
    lines.resize(kMostShown);
    lines.push_back(fmt::format("  ... and {} more (stagger plan names them)", left - kMostShown));
  }
  for (const std::string& advice : report.advice) lines.push_back("  " + advice);
  return Error{
      fmt::format("the site does not fit: {} of {} streams have no place, so nothing was "
                  "started (--partial starts those that have one)\n{}",
                  left, report.streams.size(), Join(lines, "\n"))};
}

bool SitePlan::Has(const std::string& stream, std::string* reason) const {
  const auto found = why_not_.find(stream);
  if (found != why_not_.end()) *reason = found->second;
  return found == why_not_.end();
}

Result<void> SitePlan::Place(bool devices, bool partial,
                             const std::function<bool(const std::string& stream)>& which) const {
  json request{{"partial", partial}};
  const auto send = [&](bool more) -> Result<void> {
    request["more"] = more;
    const Result<json> answer = AskDaemon(daemon_, "place", request);
    request = {{"partial", partial}};
    if (!answer) return answer.error();
    return {};
  };
  std::size_t waiting = 0;
  for (const SiteDevice& device : devices_) {
    if (!devices) break;
    json entry{{"name", device.plan.name},
               {"on", device.on},
               {"speed", device.plan.speed},
               {"memory_gb", device.plan.memory_gb}};
    const auto socket = sockets_.find(device.plan.name);
    if (socket != sockets_.end()) entry["socket"] = socket->second;
    request["devices"].push_back(std::move(entry));
    if (++waiting % kStreamsAtOnce != 0) continue;
    if (auto sent = send(true); !sent) return sent;
  }
  for (std::size_t i = 0; i < problem_.streams.size(); ++i) {
    const placement::StreamNeed& need = problem_.streams[i];
    if (why_not_.contains(need.name) || !which(need.name)) continue;
    json entry{{"name", need.name},
               {"app", need.app},
               {"fps", need.fps},
               {"pre_ms", ToMs(need.pre)},
               {"body_ms", ToMs(need.body)},
               {"post_ms", ToMs(need.post)},
               {"deadline_ms", ToMs(need.deadline)},
               {"load_ms", ToMs(need.load)},
               {"memory_gb", need.memory_gb},
               {"weight", weights_.at(need.name)},
               {"pipeline", need.most_parts - 1},
               {"executor", need.kind == placement::DeviceKind::kExecutor},
               {"restarts", restarts_},
               {"devices", json::array()}};
    for (const std::uint32_t device : made_.plan.streams[i]) {
      entry["devices"].push_back(problem_.devices[device].name);
    }
    request["streams"].push_back(std::move(entry));
    if (++waiting % kStreamsAtOnce != 0) continue;
    if (auto sent = send(true); !sent) return sent;
  }
  return send(false);
}

Result<void> SitePlan::Apply(const std::string& daemon,
                             const std::map<std::string, std::string>& sockets) {
  daemon_ = daemon;
  sockets_ = sockets;
  // One that lost its place while the plan was in force is not to keep the others from theirs.
  const bool partial = placement::StreamsPlaced(made_.plan) < problem_.streams.size();
  const auto runs = [this](const std::string& stream) { return !finished_.contains(stream); };
  if (auto placed = Place(true, partial, runs); !placed) return placed;
  // Kept open, and silent from now on.
  Result<UniqueFd> line = wire::Connect(daemon);
  if (!line) return line.error();
  line_ = std::move(line).value();
  wire::Control ask;
  ask.verb = "places";
  ask.body = R"({"streams":[]})";
  wire::Send(line_.get(), ask);
  return {};
}

bool SitePlan::KeepInStep() {
  if (line_.valid()) {
    pollfd entry{line_.get(), POLLIN, 0};
    while (poll(&entry, 1, 0) > 0) {
      wire::Message message;
      if (wire::Receive(line_.get(), &message) == wire::Io::kOk) continue;
      line_.Reset();
      break;
    }
    if (line_.valid()) {
      TakeOver();
      return false;
    }
  }
  return DaemonListens(daemon_).has_value() && Apply(daemon_, sockets_).has_value();
}

void SitePlan::TakeOver() {
  const auto ask = [this](const json& names) {
    return AskDaemon(daemon_, "places", {{"streams", names}}, kTakeOverLimit);
  };
  const Result<json> latest = ask(json::array());
  const std::uint64_t version = latest ? latest->value("version", version_) : version_;
  if (version == version_) return;
  std::map<std::string, std::uint32_t> number;
  for (std::uint32_t i = 0; i < problem_.devices.size(); ++i) number[problem_.devices[i].name] = i;
  placement::Plan plan = made_.plan;
  for (std::size_t first = 0; first < problem_.streams.size(); first += kStreamsAtOnce) {
    const std::size_t end = std::min(first + kStreamsAtOnce, problem_.streams.size());
    json names = json::array();
    for (std::size_t i = first; i < end; ++i) names.push_back(problem_.streams[i].name);
    const Result<json> answer = ask(names);
    if (!answer) return;  // a second later, then
    for (std::size_t i = first; i < end; ++i) {
      const Result<stagger::cli::Place> place = PlaceOf(*answer, problem_.streams[i].name);
      if (!place) continue;
      placement::PlacedOn on;
      for (const std::string& device : place->devices) {
        if (const auto found = number.find(device); found != number.end()) {
          on.push_back(found->second);
        }
      }
      plan.streams[i] = std::move(on);
    }
  }
  made_.plan = std::move(plan);
  version_ = version;
}

Result<void> SitePlan::ApplyChange(SitePlan* before, const std::vector<std::string>& gone,
                                   const std::vector<std::string>& fresh) {
  for (const std::string& stream : gone) GiveUpPlace(daemon_, stream);
  const std::set<std::string> names(fresh.begin(), fresh.end());
  const auto is_fresh = [&](const std::string& stream) { return names.contains(stream); };
  for (const std::string& stream : fresh) finished_.erase(stream);
  if (!fresh.empty()) {
    if (auto placed = Place(false, !why_not_.empty(), is_fresh); !placed) {
      const std::set<std::string> left(gone.begin(), gone.end());
      (void)before->Place(false, true,
                          [&](const std::string& name) { return left.contains(name); });
      return placed;
    }
  }
  line_ = std::move(before->line_);
  return {};
}

Result<Place> AskPlace(const std::string& daemon, const std::string& stream, Duration timeout) {
  const Result<json> answer =
      AskDaemon(daemon, "places", {{"streams", json::array({stream})}}, timeout);
  if (!answer) return answer.error();
  return PlaceOf(*answer, stream);
}

std::map<std::string, Place> AskPlaces(const std::string& daemon,
                                       const std::vector<std::string>& streams, Duration timeout) {
  std::map<std::string, Place> places;
  for (std::size_t from = 0; from < streams.size(); from += kStreamsAtOnce) {
    const std::size_t to = std::min(from + kStreamsAtOnce, streams.size());
    const std::vector<std::string> some(streams.begin() + static_cast<std::ptrdiff_t>(from),
                                        streams.begin() + static_cast<std::ptrdiff_t>(to));
    const Result<json> answer = AskDaemon(daemon, "places", {{"streams", some}}, timeout);
    if (!answer) return {};
    for (const std::string& name : some) {
      if (Result<Place> place = PlaceOf(*answer, name)) places[name] = std::move(place).value();
    }
  }
  return places;
}

Result<Place> AskForPlace(const std::string& daemon, const json& need) {
  const Result<json> answer = AskDaemon(daemon, "place", {{"streams", json::array({need})}});
  if (!answer) return answer.error();
  return PlaceOf(*answer, need.at("name").get<std::string>());
}

void GiveUpPlace(const std::string& daemon, const std::string& stream) {
  // A daemon that does not answer has nothing to be told.
  (void)AskDaemon(daemon, "unplace", {{"streams", json::array({stream})}});
}

Environment PlaceEnvironment(const Place& place) {
  Environment environment;
  if (!place.executors.empty()) environment[kExecutorSetting.variable] = Join(place.executors, ",");
  if (!place.gpus.empty()) environment["CUDA_VISIBLE_DEVICES"] = Join(place.gpus, ",");
  return environment;
}

}  // namespace stagger::cli
