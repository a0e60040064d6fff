// Which turn is next, under the policies that do not simply follow the order of request.
#include "story.h"

namespace stagger::core {
namespace {

StreamSpec Due(std::int64_t deadline_ms) {
  StreamSpec spec;
  spec.deadline = Ms(deadline_ms);
  return spec;
}

using Edf = Story;

TEST_F(Edf, WhoseBodyIsDueFirstRunsFirst) {
  Begin(Gpu(1, "edf"));
  Join('H');
  Join('S', Due(500)), Join('F', Due(100));
  Ask('H'), Ask('S'), Ask('F');
  EXPECT_THAT(Release('H'), ElementsAre("F runs: its deadline comes first"));
  EXPECT_THAT(Release('F'), ElementsAre("S runs: another body ended"));
}

TEST_F(Edf, WhoAskedFirstRunsFirstAmongEquals) {
  Begin(Gpu(1, "edf"));
  for (const char name : {'H', 'A', 'B'}) Join(name, Due(100));
  Ask('H'), Ask('A'), Ask('B');
  EXPECT_THAT(Release('H'), ElementsAre("A runs: another body ended"));
}

TEST_F(Edf, TimeThatPassedBeforeTheRequestCounts) {
  Begin(Gpu(1, "edf"));
  for (const char name : {'H', 'A', 'B'}) Join(name, Due(100));
  Ask('H'), Ask('A');
  Pass(10);
  // Called 30 ms ago, so 20 ms before A.
  Do(TurnRequested{IdOf('B'), {1}, DeviceId{0}, Ms(30), true});
  EXPECT_THAT(Release('H'), ElementsAre("B runs: its deadline comes first"));
}

TEST_F(Edf, WhatFollowsTheBodyMustFitIn) {
  Begin(Gpu(1, "edf"));
  Join('H');
  Join('A', Due(100)), Join('B', Due(110));
  Do(InferenceEnded{IdOf('B'), DeviceId{0}, Ms(30),
                    Ms(70)});  // B's body is due 30 ms before its frame
  Ask('H'), Ask('A'), Ask('B');
  EXPECT_THAT(Release('H'), ElementsAre("B runs: its deadline comes first"));
}

TEST_F(Edf, WhoStatesNoDeadlineGivesWayButNotForEver) {
  EngineConfig config = Gpu(1, "edf");
  config.lease_floor = Ms(10'000);
  Begin(std::move(config), "HN");
  Join('F', Due(100));
  Ask('H'), Ask('N'), Ask('F');
  EXPECT_THAT(Release('H'), ElementsAre("F runs: its deadline comes first"));
  Pass(950);  // F's next frame is due 50 ms after N has waited for a second
  Ask('H');
  EXPECT_THAT(Release('F'), ElementsAre("N runs: another body ended"));
}

TEST_F(Edf, AsManyRunAtOnceAsTheLimitSays) {
  Begin(Gpu(2, "edf"), "ABC");
  EXPECT_EQ(Ask('A').size() + Ask('B').size(), 2u);
  EXPECT_THAT(Ask('C'), IsEmpty());
}

TEST_F(Edf, TheBoundGrowsByTheDeadlineUntilWhichOthersMayPass) {
  Begin(Gpu(1, "edf"));
  Join('A', Due(5000));
  EXPECT_THAT(told_, ElementsAre(HasSubstr("A gated, 5250 ms")));
}

using Spaced = Story;

TEST_F(Spaced, StartsKeepTheirDistanceWhetherBodiesEndOrNot) {
  Begin(Gpu(1, "spaced"), "ABC");
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: a turn was free"));
  Pass(10);
  EXPECT_THAT(Ask('B'), IsEmpty());
  EXPECT_THAT(Ask('C'), IsEmpty());
  EXPECT_THAT(Release('A', 10), IsEmpty());
  EXPECT_EQ(engine_->NextDeadline(), now_ + Ms(50));
  Pass(50);
  EXPECT_THAT(Wait(), ElementsAre("B runs: the spacing since the last start has passed"));
  Pass(60);
  EXPECT_THAT(Wait(), ElementsAre("C runs: the spacing since the last start has passed"));
  EXPECT_EQ(Device().in_force, 2);
}

TEST_F(Spaced, WhoComesAfterAPauseRunsAtOnce) {
  Begin(Gpu(1, "spaced"), "AB");
  Ask('A');
  Release('A');
  Pass(60);
  EXPECT_THAT(Ask('B'), ElementsAre("B runs: the spacing since the last start has passed"));
}

TEST_F(Spaced, TheDistanceIsTheOwners) {
  EngineConfig config = Gpu(1, "spaced");
  config.policy.spacing = Ms(5);
  Begin(std::move(config), "AB");
  Ask('A'), Ask('B');
  EXPECT_EQ(engine_->NextDeadline(), now_ + Ms(5));
}

using Calls = Story;

TEST_F(Calls, ACallThatOutlivesItsBodyIsRecordedWhenItEnds) {
  Begin(Gpu(1), "");
  Join('A', Due(50));
  Ask('A');
  Pass(20);
  Do(TurnReleased{IdOf('A'), {SeqOf('A')}, Ms(20), Ms(0), Ms(0)});
  EXPECT_TRUE(Of('A').call.empty());
  Pass(40);
  Do(InferenceEnded{IdOf('A'), DeviceId{0}, Ms(40), Ms(60)});
  EXPECT_EQ(Of('A').call.mean(), Ms(60));
  EXPECT_EQ(Of('A').post.mean(), Ms(40));
  EXPECT_EQ(Count('A').late_deadline, 1u);
}

}  // namespace
}  // namespace stagger::core
