// Leases: how long a turn may be kept, and what happens to those that keep it longer; claims.
#include "story.h"

namespace stagger::core {
namespace {

using Leases = Story;

TEST_F(Leases, TheEngineAsksToBeWokenWhenTheFirstOneEnds) {
  Begin(Gpu(2), "AB");
  EXPECT_EQ(engine_->NextDeadline(), kNever);
  Ask('A');
  const TimePoint first = now_ + Ms(250);
  Pass(100);
  Ask('B');
  EXPECT_EQ(engine_->NextDeadline(), first);
  Release('A');
  EXPECT_EQ(engine_->NextDeadline(), first + Ms(100));
  Release('B');
  EXPECT_EQ(engine_->NextDeadline(), kNever);
}

TEST_F(Leases, OneThatEndsLetsTheNextRun) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Pass(249);
  EXPECT_THAT(Wait(), IsEmpty());
  Pass(1);
  EXPECT_THAT(Wait(), ElementsAre("A expires: the holder kept its turn longer than its lease",
                                  "B runs: the holder kept its turn longer than its lease"));
  EXPECT_EQ(Count('A').expired, 1u);
  EXPECT_EQ(Device().in_force, 1);
  EXPECT_EQ(Device().running.size(), 2u);  // A's is still listed
  EXPECT_TRUE(Device().running[0].expired);
}

TEST_F(Leases, AnyEventFindsTheOnesThatEnded) {
  Begin(Gpu(1), "AB");
  Ask('A');
  Pass(300);
  EXPECT_THAT(Ask('B'), ElementsAre("A expires: the holder kept its turn longer than its lease",
                                    "B runs: a turn was free"));
}

TEST_F(Leases, ALateReleaseIsRecordedAndFreesNothing) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  Pass(250);
  Wait();
  Pass(150);
  EXPECT_THAT(Release('A', 400), IsEmpty());  // B holds the only turn
  EXPECT_EQ(Count('A').late, 1u);
  EXPECT_EQ(Of('A').body.max(), Ms(400));
  EXPECT_EQ(Device().running.size(), 1u);
}

TEST_F(Leases, AnExpiredHolderMayAskAgainAndReportTheOldBodyLater) {
  Begin(Gpu(1), "A");
  Ask('A');
  const std::uint64_t first = SeqOf('A');
  Pass(250);
  Wait();
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: a turn was free"));
  EXPECT_EQ(Device().running.size(), 1u);
  Pass(50);
  EXPECT_THAT(ReleaseSeq('A', first, 300), IsEmpty());
  EXPECT_EQ(Count('A').late, 1u);
  EXPECT_EQ(Count('A').invalid, 0u);
  EXPECT_EQ(Of('A').body.max(), Ms(300));
  EXPECT_EQ(Device().in_force, 1);  // the second goes on
}

TEST_F(Leases, AnExpiredHolderThatDiesLeavesNothing) {
  Begin(Gpu(1), "A");
  Ask('A');
  Pass(250);
  Wait();
  EXPECT_THAT(Leave('A'), IsEmpty());
  EXPECT_THAT(Device().running, IsEmpty());
  EXPECT_EQ(Device().in_force, 0);
}

TEST_F(Leases, OneWhoseLeaseEndedAndWhoLeftInTheSameMomentIsJustGone) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Pass(250);
  EXPECT_THAT(Leave('A'), ElementsAre("B runs: the process that held the turn is gone"));
}

TEST_F(Leases, LongBodiesEarnLongLeases) {
  Begin(Gpu(1), "A");
  Ask('A');
  Pass(200);
  Release('A', 200);
  Ask('A');
  EXPECT_EQ(grants_[0].lease, Ms(800));
}

TEST_F(Leases, NobodyEarnsALeaseByTalking) {
  Begin(Gpu(1), "A");
  Ask('A');
  Pass(10);
  Release('A', 3'000'000);  // says it ran for 50 minutes
  Ask('A');
  EXPECT_EQ(grants_[0].lease, Ms(250));
  Release('A', 0);

  Policy("off");
  BeginUngated('A');
  Release('A', 3'000'000);  // nobody saw it begin
  Policy("fifo");
  Ask('A');
  EXPECT_EQ(grants_[0].lease, Ms(60'000));
}

using Claims = Story;

TEST_F(Claims, ABodyThatRanBeforeTheDaemonCountsFromTheStart) {
  Begin(Gpu(1), "AB");
  EXPECT_THAT(Claim('A', 40), IsEmpty());
  EXPECT_EQ(Device().running[0].granted, now_ - Ms(40));
  EXPECT_EQ(engine_->NextDeadline(), now_ + Ms(250));
  EXPECT_THAT(Ask('B'), IsEmpty());
  Pass(20);
  EXPECT_THAT(Release('A', 60), ElementsAre("B runs: another body ended"));
  EXPECT_EQ(Of('A').body.max(), Ms(60));
  EXPECT_EQ(Count('A').claimed, 1u);
}

TEST_F(Claims, MayExceedTheLimitForAWhile) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('C');
  EXPECT_THAT(Claim('B', 10), IsEmpty());
  EXPECT_EQ(Device().in_force, 2);
  Pass(10);
  EXPECT_THAT(Release('A', 10), IsEmpty());
  EXPECT_EQ(Device().over_time, Ms(20));
  EXPECT_THAT(Release('B', 20), ElementsAre("C runs: another body ended"));
}

TEST_F(Claims, OnePerDevice) {
  Begin(Gpu(2), "A");
  Claim('A', 10);
  Claim('A', 10);
  EXPECT_EQ(Count('A').invalid, 1u);
  EXPECT_EQ(Count('A').claimed, 1u);
  EXPECT_EQ(Device().in_force, 1);
}

TEST_F(Claims, AnAbsurdOneIsClamped) {
  Begin(Gpu(1), "A");
  Claim('A', -10);
  EXPECT_EQ(Device().running[0].granted, now_);
  EXPECT_EQ(Count('A').invalid, 1u);
}

TEST_F(Claims, UnderOffThereIsNoLease) {
  Begin(Gpu(1, "off"), "A");
  Claim('A', 10);
  EXPECT_EQ(engine_->NextDeadline(), kNever);
}

}  // namespace
}  // namespace stagger::core
