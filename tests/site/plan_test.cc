// stagger plan: what its site file may say, what-ifs, and what it prints.
#include <gmock/gmock.h>

#include "planner/clp.h"
#include "planner/make_plan.h"
#include "site/plan_report.h"
#include "site/plan_site.h"
#include "site/simulated_latency.h"

namespace stagger::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSite =
    "devices:\n"
    "  - {name: a, speed: 1, memory_gb: 16}\n"
    "  - {name: b, speed: 2, memory_gb: 8}\n"
    "apps:\n"
    "  - {name: gate, fps: 4, copies: 2, profile: {pre_ms: 2, body_ms: 45, post_ms: 28, memory_gb: "
    "2}}\n"
    "  - {name: hall, fps: 10, deadline_ms: 80, profile: {body_ms: 5}}\n";

PlanSite SiteOf(const std::string& text) {
  const Result<Site> site = ParseSite(text, "s.yaml");
  EXPECT_TRUE(site) << site.error().message;
  Result<PlanSite> plan = PlanSiteOf(*site);
  EXPECT_TRUE(plan) << plan.error().message;
  return *plan;
}

std::string ErrorOf(const std::string& text) {
  const Result<Site> site = ParseSite(text, "s.yaml");
  if (!site) return site.error().message;
  const Result<PlanSite> plan = PlanSiteOf(*site);
  return plan ? "" : plan.error().message;
}

PlanReport Report(const PlanSite& site) {
  const placement::PlacementProblem problem = site.Problem();
  const placement::MadePlan made = planner::MakePlan(problem, planner::NewClp);
  return ReportOf(problem, made, SimulatedLatency(problem, made.plan));
}

TEST(Plan, ASiteCarriesProfilesAndDevices) {
  const placement::PlacementProblem problem = SiteOf(kSite).Problem();
  ASSERT_EQ(problem.streams.size(), 3U);
  EXPECT_EQ(problem.streams[1].name, "gate-2");
  EXPECT_EQ(problem.streams[1].app, "gate");
  EXPECT_EQ(problem.streams[1].body, FromMs(45));
  EXPECT_EQ(problem.streams[2].deadline, FromMs(80));
  ASSERT_EQ(problem.devices.size(), 2U);
  EXPECT_EQ(problem.devices[1].speed, 2);
}

TEST(Plan, WhatIsMissingIsNamed) {
  EXPECT_THAT(ErrorOf("apps: [{name: a, fps: 1, profile: {body_ms: 3}}]"),
              HasSubstr("devices: not declared"));
  const std::string devices = "devices: [{name: d}]\n";
  EXPECT_THAT(ErrorOf(devices + "apps: [{name: a, fps: 1, command: [x]}]"),
              HasSubstr("a: no profile"));
  EXPECT_THAT(ErrorOf(devices + "apps: [{name: a, profile: {body_ms: 3}}]"),
              HasSubstr("a: no fps"));
  EXPECT_THAT(ErrorOf(devices + "apps: [{name: a, fps: 1, profile: {pre_ms: 3}}]"),
              HasSubstr("apps[0].profile: no body_ms"));
  EXPECT_THAT(ErrorOf(devices + "apps: [{name: a, fps: 1, profile: {body_ms: -3}}]"),
              HasSubstr("apps[0].profile.body_ms: -3 is not a time"));
  EXPECT_THAT(
      ErrorOf("devices: [{name: d, speed: 0}]\napps: [{name: a, fps: 1, profile: {body_ms: 3}}]"),
      HasSubstr("devices[0].speed: 0 is not a speed"));
  EXPECT_THAT(
      ErrorOf("devices: [{name: d}, {name: d}]\napps: [{name: a, fps: 1, profile: {body_ms: 3}}]"),
      HasSubstr("devices[1].name: 'd' twice"));
  EXPECT_THAT(
      ErrorOf("devices: [{name: d}, gpu:0]\napps: [{name: a, fps: 1, profile: {body_ms: 3}}]"),
      HasSubstr("devices[1]: expected a map"));
}

TEST(Plan, WhatIfChangesTheSiteAndNothingElse) {
  PlanSite site = SiteOf(kSite);
  const auto apply = [&](const char* change) { return ApplyWhatIf(change, &site).has_value(); };
  EXPECT_TRUE(apply("devices=+2xT4"));
  ASSERT_EQ(site.devices.size(), 4U);
  EXPECT_EQ(site.devices[3].name, "t4-new-2");
  EXPECT_EQ(site.devices[3].memory_gb, 16);
  EXPECT_TRUE(apply("devices=+1xb"));
  EXPECT_EQ(site.devices[4].speed, 2);
  EXPECT_TRUE(apply("devices=-2"));
  EXPECT_TRUE(apply("devices=-a"));
  ASSERT_EQ(site.devices.size(), 2U);
  EXPECT_EQ(site.devices[0].name, "b");
  EXPECT_TRUE(apply("gate.copies=8"));
  EXPECT_TRUE(apply("gate.fps=5"));
  EXPECT_TRUE(apply("gate.memory_gb=0"));
  EXPECT_EQ(site.Problem().streams.size(), 9U);
  EXPECT_EQ(site.Problem().streams[7].name, "gate-8");
  EXPECT_EQ(site.Problem().streams[7].fps, 5);
}

TEST(Plan, AWhatIfThatMakesNoSenseIsRefusedWhole) {
  PlanSite site = SiteOf(kSite);
  const auto error = [&](const char* change) {
    const Result<void> applied = ApplyWhatIf(change, &site);
    return applied ? std::string() : applied.error().message;
  };
  EXPECT_THAT(
      error("devices=+1xA100"),
      HasSubstr(
          "no speed is known of 'A100'; expected a device of the site or a known model: t4, a, b"));
  EXPECT_THAT(error("devices=+x"), HasSubstr("expected how many of which"));
  EXPECT_THAT(error("devices=+0xT4"), HasSubstr("expected how many of which"));
  EXPECT_THAT(error("devices=3"), HasSubstr("expected + or - first"));
  EXPECT_THAT(error("devices=-c"), HasSubstr("there is no device 'c'"));
  EXPECT_THAT(error("devices=-3"), HasSubstr("the site has 2 devices"));
  EXPECT_THAT(error("yard.fps=3"), HasSubstr("the site's apps: gate, hall"));
  EXPECT_THAT(error("gate.fps=0"), HasSubstr("'0'; expected a number > 0"));
  EXPECT_THAT(error("gate.fps=fast"), HasSubstr("'fast'; expected a number > 0"));
  EXPECT_THAT(error("gate.colour=3"), HasSubstr("unknown field 'colour'"));
  EXPECT_THAT(error("gate.copies=2.5"), HasSubstr("expected a whole number"));
  EXPECT_THAT(error("nonsense"), HasSubstr("expected FIELD=VALUE"));
  EXPECT_EQ(site.Problem().streams, SiteOf(kSite).Problem().streams);
  EXPECT_EQ(site.devices, SiteOf(kSite).devices);
}

TEST(Plan, JsonHasWhatScriptsRelyOn) {
  const nlohmann::ordered_json json = ToJson(Report(SiteOf(kSite)));
  EXPECT_EQ(json["feasible"], true);
  ASSERT_EQ(json["devices"].size(), 2U);
  double most = 0;
  for (const auto& device : json["devices"]) {
    for (const char* field :
         {"name", "streams", "utilisation_ratio", "admitted", "memory_used_gb", "headroom"}) {
      EXPECT_TRUE(device.contains(field)) << field;
    }
    EXPECT_EQ(device["admitted"], true);
    most = std::max(most, device["memory_used_gb"].get<double>());
  }
  EXPECT_EQ(most, 4);
  ASSERT_EQ(json["streams"].size(), 3U);
  EXPECT_EQ(json["streams"][0]["name"], "gate-1");
  EXPECT_EQ(json["streams"][0]["fps_required"], 4.0);
  EXPECT_EQ(json["streams"][0]["fps"], 4.0);
  EXPECT_EQ(json["streams"][0]["devices"].size(), 1U);
  EXPECT_EQ(json["latency_from"], "simulation");
  EXPECT_GT(json["streams"][0]["latency_p95_ms"].get<double>(), 30);
}

TEST(Plan, WithoutTheSimulatorDeadlinesAreSaidAsBounds) {
  const placement::PlacementProblem problem = SiteOf(kSite).Problem();
  const PlanReport report = ReportOf(problem, planner::MakePlan(problem, planner::NewClp));
  EXPECT_FALSE(report.simulated);
  EXPECT_EQ(report.streams[0].latency_p95_ms, 250);
}

TEST(Plan, TheSimulatorIsAskedForStreamsThatHaveAPlace) {
  PlacedSite site;
  site.problem.devices = {{.name = "a"}, {.name = "b", .speed = 2.5, .memory_gb = 24}};
  placement::StreamNeed need;
  need.name = "gate-1";
  need.fps = 4;
  need.body = FromMs(45);
  need.post = FromMs(28);
  site.problem.streams = {need, need};
  site.plan.streams = {{}, {1, 0}};
  const Result<PlacedSite> read = PlacedSiteFrom(ToJson(site));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->problem.devices, site.problem.devices);
  ASSERT_EQ(read->problem.streams.size(), 1U);
  EXPECT_EQ(read->problem.streams[0], need);
  EXPECT_EQ(read->plan.streams[0], (placement::PlacedOn{1, 0}));
  nlohmann::json nowhere = ToJson(site);
  nowhere["streams"][0]["on"] = {2};
  EXPECT_FALSE(PlacedSiteFrom(nowhere));
  EXPECT_FALSE(PlacedSiteFrom(nlohmann::json::array()));
}

TEST(Plan, WhatDoesNotFitIsSaidSoAndWhatWouldHelp) {
  PlanSite site = SiteOf(
      "devices: [{name: a, memory_gb: 16}]\n"
      "apps: [{name: gate, fps: 10, copies: 3, profile: {body_ms: 40, memory_gb: 1}}]\n");
  const PlanReport report = Report(site);
  EXPECT_FALSE(report.feasible);
  std::size_t out = 0;
  for (const PlanReport::Stream& stream : report.streams) {
    if (!stream.devices.empty()) continue;
    ++out;
    EXPECT_EQ(stream.fps, 0);
    EXPECT_THAT(stream.reason, HasSubstr("lower body from 40 to"));
  }
  EXPECT_EQ(out, 1U);
  EXPECT_THAT(report.advice, ElementsAre("1 more device like a (speed 1) would serve it"));
  EXPECT_THAT(ToText(report),
              HasSubstr("does not fit: 1 of 3 streams have no place. A part of the plan"));
  EXPECT_TRUE(ApplyWhatIf("devices=+1xT4", &site));
  EXPECT_TRUE(Report(site).feasible);
}

}  // namespace
}  // namespace stagger::cli
