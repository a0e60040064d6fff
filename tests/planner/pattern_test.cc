// The test for patterns against the admission test itself.
#include "placement/pattern.h"

#include <gtest/gtest.h>

#include "lab/sim/random.h"
#include "lab/sim/random_site.h"

namespace stagger::placement {
namespace {

TEST(PatternTest, SaysWhatTheAdmissionTestSays) {
  int passed = 0;
  int exact = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    sim::Random random(seed);
    const auto mix = seed % 2 == 0 ? sim::SiteMix::kTight : sim::SiteMix::kOwn;
    const PlacementProblem site = sim::RandomSite(mix, 12, seed);
    Catalogue catalogue(site.devices);
    std::vector<ClassId> classes;
    for (const StreamNeed& need : site.streams) classes.push_back(catalogue.ClassOf(need));
    const PatternTest test(catalogue);
    for (int draw = 0; draw < 60; ++draw) {
      Pattern pattern;
      std::vector<admission::Task> tasks;
      double memory = 0;
      for (std::uint64_t n = 1 + random.Next() % 4; n > 0; --n) {
        const ClassId id = classes[random.Next() % classes.size()];
        const auto count = static_cast<std::uint32_t>(1 + random.Next() % 2);
        AddTo(pattern, id, count);
        for (std::uint32_t i = 0; i < count; ++i) tasks.push_back(catalogue.at(id).on[0].task);
        memory += catalogue.at(id).need.memory_gb * count;
      }
      if (memory > site.devices.front().memory_gb) continue;
      const admission::Admission said = admission::Admit(tasks);
      ASSERT_EQ(test.Passes(0, pattern), said.admitted) << "seed " << seed << ", draw " << draw;
      passed += said.admitted ? 1 : 0;
      exact += said.decided == admission::Admission::Test::kExact ? 1 : 0;
    }
  }
  // Both answers, and the exact part of the test, were asked for.
  EXPECT_GT(passed, 300);
  EXPECT_GT(exact, 300);
}

TEST(PatternTest, CountsRoomOneByOne) {
  PlacementProblem site = sim::RandomSite(sim::SiteMix::kSmall, 16, 1);
  Catalogue catalogue(site.devices);
  const PatternTest test(catalogue);
  for (const StreamNeed& need : site.streams) {
    const ClassId id = catalogue.ClassOf(need);
    const std::uint32_t room = test.RoomFor(0, {}, id, 1'000);
    const std::vector<Portion> full{{id, room}};
    const std::vector<Portion> over{{id, room + 1}};
    EXPECT_TRUE(test.Passes(0, full));
    EXPECT_FALSE(test.Passes(0, over));
  }
}

TEST(PatternTest, ADeviceFilledToTheBrimPasses) {
  const StreamNeed need{"a", "a", 10, {}, FromMs(25), {}, {}, 1};
  const std::vector<PlanDevice> devices{{"d", 1, 16}};
  Catalogue catalogue(devices);
  const ClassId id = catalogue.ClassOf(need);
  EXPECT_EQ(PatternTest(catalogue).RoomFor(0, {}, id, 100), 4U);
}

}  // namespace
}  // namespace stagger::placement
