// stagger plan: which device serves which stream of a site, and what would make the rest fit.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/try.h"
#include "cli/verbs.h"
#include "console/arguments.h"
#include "console/yaml_reader.h"
#include "planner/clp.h"
#include "planner/make_plan.h"
#include "site/auto_devices.h"
#include "site/plan_report.h"
#include "site/plan_site.h"
#include "site/probe.h"
#include "site/simulated_latency.h"
#include "site/site_plan.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kMostPlanMib = 256;

// The places of a plan that --json wrote, for the streams and devices that are still there.
Result<placement::Plan> ReadPlan(const std::string& path,
                                 const placement::PlacementProblem& problem) {
  const std::string text =
      STAGGER_TRY(ReadTextFile(path, "a plan as --json writes it", kMostPlanMib));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const Error bad{path + ": not a plan; expected what stagger plan --json wrote"};
  if (!json.is_object() || !json.contains("streams") || !json["streams"].is_array()) return bad;
  std::map<std::string, std::uint32_t> streams;
  std::map<std::string, std::uint32_t> devices;
  for (std::uint32_t i = 0; i < problem.streams.size(); ++i) streams[problem.streams[i].name] = i;
  for (std::uint32_t i = 0; i < problem.devices.size(); ++i) devices[problem.devices[i].name] = i;
  placement::Plan plan{std::vector<placement::PlacedOn>(problem.streams.size())};
  for (const nlohmann::json& entry : json["streams"]) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() ||
        !entry.contains("devices") || !entry["devices"].is_array()) {
      return bad;
    }
    const auto stream = streams.find(entry["name"].get<std::string>());
    placement::PlacedOn on;
    bool there = stream != streams.end();
    for (const nlohmann::json& name : entry["devices"]) {
      if (!name.is_string()) return bad;
      const auto device = devices.find(name.get<std::string>());
      there &= device != devices.end();
      if (there) on.push_back(device->second);
    }
    if (there) plan.streams[stream->second] = std::move(on);
  }
  return plan;
}

}  // namespace

int PlanVerb(const Arguments& arguments) {
  CLI::App app{
      "Places the streams of a site on its devices: as few devices as it can, each of which passes "
      "the exact admission test and has the memory. Profiles are taken as written.",
      "stagger plan"};
  std::string file;
  std::vector<std::string> changes;
  std::string from;
  double seconds = 1;
  bool quick = false;
  bool as_json = false;
  bool probe = false;
  app.add_option("site", file, "a site file with a profile per app, and devices")->required();
  app.add_option("--what-if", changes,
                 "plan as if: devices=+1xT4, devices=-1, devices=-NAME, APP.fps=5, APP.copies=8, "
                 "APP.deadline_ms=80, APP.body_ms=30, APP.memory_gb=2; may be given again");
  app.add_option("--from", from, "a plan that --json wrote: keep to it, move few streams");
  app.add_flag("--probe", probe,
               "run apps without a profile alone for some seconds first, on the device that the "
               "site names for them");
  app.add_flag("--quick", quick, "the greedy rule alone: at once, a few devices more");
  app.add_option("--seconds", seconds, "how long to look for a better plan, at most")
      ->check(CheckPositive)
      ->capture_default_str();
  app.add_flag("--json", as_json, "one JSON object instead of tables");
  app.footer("exit code 1: not every stream has a place; what is printed is the part that fits");
  if (const auto code = ParseArguments(app, arguments)) return *code;

  Result<Site> read = ReadSite(file);
  if (!read) {
    PrintError(read.error().message);
    return kExitUsage;
  }
  if (const Result<void> found = DeclareAuto(&*read); !found) {
    PrintError(fmt::format("plan: {}: {}", file, found.error().message));
    return kExitUsage;
  }
  if (probe && NeedsProbe(*read)) {
    if (!HasPlan(*read)) {
      PrintError(
          "plan: --probe: expected devices that say what they are, as in {name: a, on: cpu:0}");
      return kExitUsage;
    }
    Result<Workplace> place = Workplace::Open();
    const Result<void> probed = place ? Probe(*place, &*read) : place.error();
    if (!probed) {
      PrintError("plan: --probe: " + probed.error().message);
      return kExitFailed;
    }
  }
  Result<PlanSite> site = PlanSiteOf(*read);
  if (!site) {
    PrintError(fmt::format("plan: {}: {}", file, site.error().message));
    return kExitUsage;
  }
  for (const std::string& change : changes) {
    if (const Result<void> applied = ApplyWhatIf(change, &*site); !applied) {
      PrintError("plan: " + applied.error().message);
      return kExitUsage;
    }
  }
  const placement::PlacementProblem problem = site->Problem();
  placement::MadePlan made;
  if (!from.empty()) {
    const Result<placement::Plan> current = ReadPlan(from, problem);
    if (!current) {
      PrintError("plan: --from " + current.error().message);
      return kExitUsage;
    }
    made = placement::KeepPlan(problem, *current);
  } else {
    const TimePoint end = Now() + FromMs(seconds * 1000);
    planner::PatternBudget budget;
    budget.enough = [end] { return Now() >= end; };
    made =
        planner::MakePlan(problem, quick ? planner::NewLinearProgram() : planner::NewClp, budget);
  }
  // Whatever made it, what is said to fit is checked by itself.
  if (const auto fault = placement::FaultOf(problem, made.plan)) {
    PrintError("plan: the plan found is wrong, which is a bug: " + *fault);
    return kExitFailed;
  }
  const PlanReport report = ReportOf(problem, made, SimulatedLatency(problem, made.plan));
  if (as_json) {
    nlohmann::ordered_json json = ToJson(report);
    if (!changes.empty()) json["what_if"] = changes;
    fmt::print("{}\n", json.dump(2));
  } else {
    for (const std::string& change : changes) fmt::print("if {}:\n", change);
    fmt::print("{}", ToText(report));
  }
  return report.feasible ? kExitOk : kExitFailed;
}

}  // namespace stagger::cli
