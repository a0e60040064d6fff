#include "site/site_plan.h"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>

#include "base/clock.h"
#include "base/try.h"
#include "console/sentences.h"
#include "planner/clp.h"
#include "planner/make_plan.h"
#include "site/plan_report.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kEntriesAtOnce = 60;  // in one request, which is one packet
constexpr std::size_t kMostShown = 8;       // streams that do not fit
constexpr std::size_t kMostParts = 8;       // executors of one app

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

// Why an app cannot be on as many devices at once as it must; empty: it can.
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

}  // namespace

bool HasPlan(const Site& site) {
  return !site.declared.empty() && !site.declared.front().on.empty();
}

Result<SitePlan> SitePlan::Begin(const Site& site) {
  if (const auto cores = CheckCores(site); !cores) return cores.error();
  const PlanSite planned = STAGGER_TRY(PlanSiteOf(site));
  SitePlan plan;
  plan.devices_ = site.declared;
  plan.problem_ = planned.Problem();
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
  const auto made = planner::MakePlan(plan->problem_, planner::NewClp, budget);
  if (const Result<void> good = plan->Take(made, partial); !good) return good.error();
  return plan;
}

Result<SitePlan> SitePlan::ChangedTo(const Site& site, bool partial) const {
  Result<SitePlan> plan = Begin(site);
  if (!plan) return plan;
  plan->finished_ = finished_;
  std::map<std::string, std::uint32_t> number;
  for (const placement::PlanDevice& device : plan->problem_.devices) {
    number.emplace(device.name, static_cast<std::uint32_t>(number.size()));
  }
  placement::Plan current;
  for (const placement::StreamNeed& need : plan->problem_.streams) {
    placement::PlacedOn& on = current.streams.emplace_back();
    const Place* place = Find(need.name);
    if (place == nullptr) continue;
    for (const std::string& device : place->devices) {
      // Others may have added devices to the daemon's plan.
      if (const auto found = number.find(device); found != number.end())
        on.push_back(found->second);
    }
  }
  if (const auto good = plan->Take(placement::KeepPlan(plan->problem_, current), partial); !good) {
    return good.error();
  }
  // The others are where the daemon has them.
  for (const placement::StreamNeed& need : problem_.streams) {
    const Place* place = Find(need.name);
    const bool same = std::ranges::count(plan->problem_.streams, need) > 0;
    if (place != nullptr && same) plan->places_[need.name] = *place;
  }
  return plan;
}

Result<void> SitePlan::Take(const placement::MadePlan& made, bool partial) {
  if (const auto fault = placement::FaultOf(problem_, made.plan)) {
    return Error{"the plan found is wrong, which is a bug: " + *fault};
  }
  for (std::size_t i = 0; i < problem_.streams.size(); ++i) {
    if (made.plan.streams[i].empty()) continue;
    Place& place = places_[problem_.streams[i].name];
    for (const std::uint32_t device : made.plan.streams[i]) {
      place.devices.push_back(problem_.devices[device].name);
    }
  }
  if (places_.size() == problem_.streams.size()) return {};
  const PlanReport report = ReportOf(problem_, made);
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

std::vector<json> SitePlan::Requests(
    const std::map<std::string, std::string>* sockets, bool partial,
    const std::function<bool(const std::string& stream)>& which) const {
  partial = partial || !why_not_.empty();
  std::vector<json> requests;
  std::size_t entries = 0;
  const auto add = [&](const char* list, json entry) {
    if (entries++ % kEntriesAtOnce == 0) requests.push_back({{"more", true}});
    requests.back()[list].push_back(std::move(entry));
  };
  for (const SiteDevice& device : devices_) {
    if (sockets == nullptr) break;
    json entry{{"name", device.plan.name},
               {"on", device.on},
               {"speed", device.plan.speed},
               {"memory_gb", device.plan.memory_gb}};
    const auto socket = sockets->find(device.plan.name);
    if (socket != sockets->end()) entry["socket"] = socket->second;
    add("devices", std::move(entry));
  }
  for (const placement::StreamNeed& need : problem_.streams) {
    const Place* place = Find(need.name);
    if (place == nullptr || finished_.contains(need.name) || !which(need.name)) continue;
    partial = partial || place->devices.empty();
    add("streams", {{"name", need.name},
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
                    {"devices", place->devices}});
  }
  if (!requests.empty()) requests.back().update({{"more", false}, {"partial", partial}});
  return requests;
}

bool SitePlan::Hear(const Place& place) {
  const auto found = places_.find(place.name);
  if (found == places_.end()) return false;
  found->second = place;
  return true;
}

const Place* SitePlan::Find(const std::string& stream) const {
  const auto found = places_.find(stream);
  return found == places_.end() ? nullptr : &found->second;
}

Environment PlaceEnvironment(const Place& place) {
  Environment environment;
  if (!place.executors.empty()) environment[kExecutorSetting.variable] = Join(place.executors, ",");
  if (!place.gpus.empty()) environment["CUDA_VISIBLE_DEVICES"] = Join(place.gpus, ",");
  return environment;
}

}  // namespace stagger::cli
