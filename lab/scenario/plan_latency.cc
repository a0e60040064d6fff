// stagger-lab plan-latency: what `stagger plan` asks of the simulator.
#include <fmt/core.h>

#include <iostream>

#include "console/arguments.h"
#include "lab/sim/plan_scenario.h"
#include "lab/sim/simulate.h"
#include "lab/verbs.h"
#include "site/simulated_latency.h"

namespace stagger::cli {
namespace {

constexpr Duration kLength = std::chrono::seconds{30};
constexpr std::uint64_t kSeed = 1;

int Failed(const std::string& message) {
  PrintError("plan-latency: " + message);
  return kExitFailed;
}

}  // namespace

int PlanLatencyVerb(const Arguments&) {
  const Result<PlacedSite> site = PlacedSiteFrom(nlohmann::json::parse(std::cin, nullptr, false));
  if (!site) return Failed(site.error().message);
  const Result<sim::Outcome> outcome =
      sim::Simulate(sim::ScenarioOf(site->problem, site->plan, kLength), kSeed);
  if (!outcome) return Failed(outcome.error().message);
  nlohmann::json p95 = nlohmann::json::object();
  for (std::size_t i = 0; i < outcome->groups.size(); ++i) {
    p95[outcome->groups[i]] = ToMs(outcome->of_group[i].latency.Quantile(0.95));
  }
  fmt::print("{}\n", p95.dump());
  return kExitOk;
}

}  // namespace stagger::cli
