// Which CPU cores a body gets.
#include "core/cores.h"

#include "story.h"

namespace stagger::core {
namespace {

using Cores = Story;

TEST_F(Cores, ALoneStreamHasThemAll) {
  Begin(Cpu({0, 1, 2, 3}, 4), "AB");
  Ask('A');
  EXPECT_THAT(grants_[0].cores, ElementsAre(0, 1, 2, 3));
}

TEST_F(Cores, TwoStreamsHaveHalfEach) {
  Begin(Cpu({0, 1, 2, 3}, 2), "AB");
  Ask('A');
  Ask('B');
  EXPECT_EQ(grants_[0].cores.size(), 2u);
  Pass(10);
  Release('A', 10);
  Ask('A');  // B runs on two of them, so A has the other two
  EXPECT_THAT(grants_[0].cores, ElementsAre(2, 3));
}

TEST_F(Cores, AStreamKeepsItsCoresFromBodyToBody) {
  Begin(Cpu({0, 1, 2, 3}, 2), "AB");
  Ask('A'), Ask('B');
  Release('A'), Ask('A');  // 2 and 3, as above
  Release('A'), Release('B');
  Ask('A');
  EXPECT_THAT(grants_[0].cores, ElementsAre(2, 3));
  Ask('B');
  EXPECT_THAT(grants_[0].cores, ElementsAre(0, 1));
}

TEST_F(Cores, NoStreamGetsLessThanOne) {
  Begin(Cpu({0, 1}, 3), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  EXPECT_EQ(grants_[0].cores.size(), 1u);
}

TEST_F(Cores, OneAtATimeEachHasThemAll) {
  Begin(Cpu({0, 1}, 1), "AB");
  Ask('A'), Ask('B');
  Release('A');
  EXPECT_THAT(grants_[0].cores, ElementsAre(0, 1));
}

TEST_F(Cores, AStreamThatRanAMomentAgoIsARival) {
  Begin(Cpu({0, 1, 2, 3}, 4), "AB");
  Ask('A');
  Pass(10);
  Release('A', 10);
  Pass(1000);
  Ask('B');
  EXPECT_EQ(grants_[0].cores.size(), 2u);
  Release('B');
  Pass(1001);
  Ask('B');  // A has been quiet for longer than the window
  EXPECT_EQ(grants_[0].cores.size(), 4u);
}

TEST_F(Cores, AnExpiredBodyStillWeighsOnItsCores) {
  Begin(Cpu({0, 1}, 2), "ABC");
  Ask('A'), Ask('B');
  Release('A'), Ask('A');  // A on one core, B on the other
  const auto of_a = grants_[0].cores;
  Pass(200);
  Release('B', 200);
  Pass(50);
  Wait();  // A's lease ends, its body runs on
  Ask('B');
  EXPECT_EQ(grants_[0].cores.size(), 1u);
  EXPECT_NE(grants_[0].cores, of_a);
}

TEST_F(Cores, AreNamedAsTheDeviceNamesThem) {
  Begin(Cpu({6, 2}, 2), "AB");
  Ask('A');
  EXPECT_THAT(grants_[0].cores, ElementsAre(2, 6));
}

}  // namespace
}  // namespace stagger::core
