// A site's plan as a value: what the daemon is asked, and where streams are once it has answered.
#include "site/site_plan.h"

#include <gmock/gmock.h>
#include <sched.h>

namespace stagger::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

// Two devices alike, on a core that this process may use; together, two gates need 0.8 of one.
Site SiteWith(const std::string& apps) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  int core = 0;
  while (!CPU_ISSET(core, &set)) ++core;
  const std::string on = "\"cpu:" + std::to_string(core) + "\"";
  const Result<Site> site = ParseSite("devices:\n  - {name: a, on: " + on +
                                          ", share: 0.5, speed: 1}\n  - {name: b, on: " + on +
                                          ", share: 0.5, speed: 1}\napps:\n" + apps,
                                      "s.yaml");
  EXPECT_TRUE(site) << site.error().message;
  return *site;
}

std::string App(const std::string& name, int copies, int body_ms) {
  return "  - {name: " + name +
         ", command: [x], fps: 10, executor: true, copies: " + std::to_string(copies) +
         ", profile: {body_ms: " + std::to_string(body_ms) + "}}\n";
}

bool All(const std::string&) { return true; }

// Of the streams that are asked for: where each is to be.
std::map<std::string, std::vector<std::string>> Asked(const std::vector<json>& requests) {
  std::map<std::string, std::vector<std::string>> asked;
  for (const json& request : requests) {
    for (const json& stream : request.value("streams", json::array())) {
      asked[stream["name"]] = stream["devices"].get<std::vector<std::string>>();
    }
  }
  return asked;
}

TEST(SitePlan, IsGivenAgainAsTheDaemonLastSaid) {
  Result<SitePlan> plan = SitePlan::Make(SiteWith(App("gate", 2, 40)), false, 1);
  ASSERT_TRUE(plan) << plan.error().message;
  const std::map<std::string, std::string> sockets{{"a", "/a"}};
  std::vector<json> requests = plan->Requests(&sockets, false, All);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0]["devices"][0]["socket"], "/a");
  EXPECT_FALSE(requests[0]["more"]);
  EXPECT_FALSE(requests[0]["partial"]);
  const auto first = Asked(requests);
  EXPECT_EQ(first.at("gate-1"), first.at("gate-2")) << "on as few devices as can be";

  EXPECT_TRUE(plan->Hear({"gate-1", {"b"}, {"/b"}, {}, "moved"}));
  EXPECT_TRUE(plan->Hear({"gate-2", {}, {}, {}, "no room"}));
  EXPECT_FALSE(plan->Hear({"stranger", {"b"}, {}, {}, ""}));
  EXPECT_EQ(plan->Find("stranger"), nullptr);
  requests = plan->Requests(&sockets, false, All);
  EXPECT_THAT(Asked(requests).at("gate-1"), ElementsAre("b"));
  EXPECT_THAT(Asked(requests).at("gate-2"), IsEmpty());
  EXPECT_TRUE(requests[0]["partial"]) << "one that has no place keeps no other from its own";
  plan->Finished("gate-2");
  EXPECT_FALSE(Asked(plan->Requests(&sockets, false, All)).contains("gate-2"));
}

TEST(SitePlan, WhatStaysAsItWasIsWhereTheDaemonHasIt) {
  Result<SitePlan> plan = SitePlan::Make(SiteWith(App("gate", 2, 40)), false, 1);
  ASSERT_TRUE(plan) << plan.error().message;
  plan->Hear({"gate-1", {"b"}, {"/b"}, {}, "moved"});
  plan->Hear({"gate-2", {"b"}, {"/b"}, {}, "moved"});
  const Result<SitePlan> next =
      plan->ChangedTo(SiteWith(App("gate", 1, 40) + App("yard", 1, 70)), false);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_THAT(next->Find("gate-1")->executors, ElementsAre("/b"));
  EXPECT_EQ(next->Find("gate-2"), nullptr);
  EXPECT_THAT(next->Find("yard-1")->devices, ElementsAre("a"));
  EXPECT_FALSE(plan->ChangedTo(SiteWith(App("gate", 1, 40) + App("yard", 1, 300)), false));
}

TEST(SitePlan, AsksInRequestsThatFitIntoAPacket) {
  Result<SitePlan> plan = SitePlan::Make(SiteWith(App("gate", 100, 1)), false, 1);
  ASSERT_TRUE(plan) << plan.error().message;
  const std::vector<json> requests = plan->Requests(nullptr, true, All);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_TRUE(requests[0]["more"]);
  EXPECT_FALSE(requests[1]["more"]);
  EXPECT_EQ(Asked(requests).size(), 100U);
}

}  // namespace
}  // namespace stagger::cli
