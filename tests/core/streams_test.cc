// Which streams there are, and how long each is told that it may have to wait.
#include "core/wait_bound.h"
#include "story.h"

namespace stagger::core {
namespace {

TEST(WaitBoundTest, IsTheOthersLeasesSharedByKWithinReason) {
  EXPECT_EQ(WaitBound({}, Ms(4000), 1), Ms(4250));
  EXPECT_EQ(WaitBound({}, Ms(4000), 4), Ms(1250));
  EXPECT_EQ(WaitBound({}, Ms(0), 1), Ms(1000));
  EXPECT_EQ(WaitBound({}, Ms(10'000'000), 1), Ms(60'000));
}

TEST(WaitBoundTest, AQuarterIsWorthTelling) {
  EXPECT_FALSE(WorthTelling(Ms(1000), Ms(1250)));
  EXPECT_TRUE(WorthTelling(Ms(1000), Ms(1251)));
  EXPECT_FALSE(WorthTelling(Ms(1000), Ms(750)));
  EXPECT_TRUE(WorthTelling(Ms(1000), Ms(749)));
}

using Bounds = Story;

TEST_F(Bounds, ANewcomerIsAlwaysTold) {
  Begin(Gpu(1));
  Join('A');
  EXPECT_THAT(told_, ElementsAre("A gated, 1000 ms: streams joined or left, so the waiting bound "
                                 "changed"));
  Join('B');
  EXPECT_THAT(told_, ElementsAre(HasSubstr("B gated, 1000 ms")));
}

TEST_F(Bounds, TheOthersAreToldOnlyOfAChangeThatMatters) {
  Begin(Gpu(1), "ABCDE");  // each 4 * 250 + 250
  Join('F');               // 1500 against the 1250 or less that the others know
  EXPECT_THAT(told_, ElementsAre(HasSubstr("F gated, 1500"), HasSubstr("A gated, 1500"),
                                 HasSubstr("B gated, 1500"), HasSubstr("C gated, 1500"),
                                 HasSubstr("D gated, 1500")));  // E knew 1250
  Join('G');
  EXPECT_EQ(told_.size(), 2u);  // G itself, and E
  EXPECT_THAT(told_[1], HasSubstr("E gated, 1750"));
}

TEST_F(Bounds, ShrinkWhenStreamsLeave) {
  Begin(Gpu(1), "ABCDEFGHIJ");
  EXPECT_EQ(Of('J').told_bound, Ms(2500));
  Leave('A');
  Leave('B');
  EXPECT_THAT(told_, IsEmpty());
  Leave('C');  // 1750 now
  EXPECT_EQ(Of('J').told_bound, Ms(1750));
  EXPECT_THAT(told_.back(), HasSubstr("J gated, 1750"));
}

TEST_F(Bounds, AHigherLimitShortensThem) {
  Begin(Gpu(1), "ABCDEFGHI");  // 8 * 250 + 250
  Policy("fifo", 8);
  EXPECT_EQ(Of('A').told_bound, Ms(1000));
  EXPECT_THAT(told_[0], HasSubstr("the policy or its limit changed"));
}

TEST_F(Bounds, FollowTheBodies) {
  Begin(Gpu(1), "AB");
  Ask('A');
  Pass(200);
  Release('A', 200);  // a lease of 800 ms, still within B's 1000
  EXPECT_THAT(told_, ElementsAre());
  Policy("fifo", 1);
  for (int i = 0; i < 2; ++i) {
    Ask('A');
    Pass(600);
    Release('A', 600);
  }
  EXPECT_EQ(Of('B').told_bound, Ms(2650));
  EXPECT_EQ(Of('A').told_bound, Ms(1000));
}

TEST_F(Bounds, AnUnchangedPolicyTellsNobodyAnything) {
  Begin(Gpu(1), "AB");
  Policy("fifo", 1);
  EXPECT_THAT(told_, IsEmpty());
}

// Executors run its calls, so there is nothing here that could hold them back.
TEST_F(Bounds, ARateThatIsLoweredElsewhereIsToldTheAgent) {
  Begin(Gpu(1));
  Join('A', {.name = "a", .required_fps = 10});
  Join('B', {.name = "b", .required_fps = 10, .excess = Excess::kReuse});
  Join('C', {.name = "c", .required_fps = 10, .excess = Excess::kPass});
  for (const char name : {'A', 'B', 'C'}) {
    Do(InferenceForwarded{IdOf(name), Ms(50)});
    Do(RateCapped{IdOf(name), 5});
  }
  EXPECT_EQ(knows_['A'].period, Ms(200));
  EXPECT_EQ(knows_['B'].period, Ms(200));
  EXPECT_EQ(knows_['C'].period, Ms(0));
  Do(RateCapped{IdOf('A'), 0});
  Do(RateCapped{IdOf('B'), 0});
  EXPECT_EQ(knows_['A'].period, Ms(0));
  EXPECT_EQ(knows_['B'].period, Ms(100));
}

using Joining = Story;

TEST_F(Joining, ASpecThatMakesNoSenseIsSetRight) {
  Begin(Gpu(1));
  Join('A', {.name = "gate", .required_fps = -3, .deadline = Ms(-1), .weight = 0});
  EXPECT_EQ(Of('A').spec.required_fps, 0);
  EXPECT_EQ(Of('A').spec.deadline, Ms(0));
  EXPECT_EQ(Of('A').spec.weight, 1);
  EXPECT_EQ(Of('A').spec.name, "gate");
  EXPECT_EQ(Of('A').joined, now_);
}

}  // namespace
}  // namespace stagger::core
