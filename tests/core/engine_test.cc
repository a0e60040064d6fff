// Turns from request to release under fifo, and how the time of bodies is counted.
#include "core/engine.h"

#include "story.h"

namespace stagger::core {
namespace {

using Turns = Story;

TEST_F(Turns, AFreeDeviceIsGrantedAtOnce) {
  Begin(Gpu(1), "A");
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: a turn was free"));
  EXPECT_EQ(grants_[0].lease, Ms(250));
  EXPECT_THAT(grants_[0].cores, IsEmpty());
}

TEST_F(Turns, OthersWaitInOrderOfRequest) {
  Begin(Gpu(1), "ABC");
  EXPECT_THAT(Ask('B'), ElementsAre("B runs: a turn was free"));
  EXPECT_THAT(Ask('C'), IsEmpty());
  EXPECT_THAT(Ask('A'), IsEmpty());
  EXPECT_THAT(Release('B'), ElementsAre("C runs: another body ended"));
  EXPECT_THAT(Release('C'), ElementsAre("A runs: another body ended"));
  EXPECT_THAT(Release('A'), IsEmpty());
}

TEST_F(Turns, AsManyRunAtOnceAsTheLimitSays) {
  Begin(Gpu(2), "ABC");
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: a turn was free"));
  EXPECT_THAT(Ask('B'), ElementsAre("B runs: a turn was free"));
  EXPECT_THAT(Ask('C'), IsEmpty());
  EXPECT_THAT(Release('B'), ElementsAre("C runs: another body ended"));
}

TEST_F(Turns, DevicesDoNotWaitForEachOther) {
  EngineConfig config = Gpu(1);
  config.devices.push_back({"gpu:1", {}});
  Begin(config, "AB");
  EXPECT_THAT(Ask('A', 0), ElementsAre("A runs: a turn was free"));
  EXPECT_THAT(Ask('B', 1), ElementsAre("B runs: a turn was free"));
  EXPECT_THAT(Ask('A', 1), IsEmpty());  // a process may hold one on each
  EXPECT_THAT(Release('B'), ElementsAre("A runs: another body ended"));
  EXPECT_EQ(grants_[0].device, DeviceId{1});
}

TEST_F(Turns, ASecondRequestOfTheSameProcessIsRefused) {
  Begin(Gpu(4), "AB");
  Ask('A');
  EXPECT_THAT(Ask('A'), IsEmpty());
  EXPECT_EQ(Count('A').invalid, 1u);
  EXPECT_EQ(Device().in_force, 1);
}

TEST_F(Turns, AWaitingOneMayGiveUp) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  EXPECT_THAT(Cancel('B'), IsEmpty());
  EXPECT_EQ(Count('B').cancelled, 1u);
  EXPECT_THAT(Release('A'), ElementsAre("C runs: another body ended"));
}

TEST_F(Turns, ACancelThatCrossesItsGrantGivesTheTurnBack) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  EXPECT_THAT(Cancel('A'), ElementsAre("B runs: one that had asked for the turn gave it up"));
  EXPECT_EQ(Device().in_force, 1);
}

TEST_F(Turns, ABodyThatGaveUpWaitingMayStillReportItsEnd) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Cancel('B');
  Pass(30);
  EXPECT_THAT(Release('B', 30), IsEmpty());
  EXPECT_EQ(Count('B').done, 1u);
  EXPECT_EQ(Count('B').ungated, 1u);
  EXPECT_EQ(Count('B').invalid, 0u);
  EXPECT_EQ(Device().in_force, 1);  // A's is untouched
  Release('B', 30);
  EXPECT_EQ(Count('B').invalid, 1u);  // but once
}

TEST_F(Turns, AReleaseWithoutAGrantLeavesTheQueue) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Release('B', 10);
  EXPECT_EQ(Count('B').invalid, 1u);
  EXPECT_EQ(Count('B').done, 0u);
  EXPECT_THAT(Release('A'), IsEmpty());  // nobody waits any more
}

TEST_F(Turns, ADeadProcessFreesItsTurnInTheSameStep) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  EXPECT_THAT(Leave('A'), ElementsAre("B runs: the process that held the turn is gone"));
  EXPECT_FALSE(engine_->streams().contains(IdOf('A')));
}

TEST_F(Turns, ADeadProcessIsNoLongerWaitedFor) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  EXPECT_THAT(Leave('B'), IsEmpty());
  EXPECT_THAT(Release('A'), ElementsAre("C runs: another body ended"));
}

TEST_F(Turns, BodiesCallsAndLateCallsAreRecorded) {
  Begin(Gpu(1));
  Join('A', {.name = "gate", .deadline = Ms(100)});
  Ask('A');
  Pass(40);
  Do(TurnReleased{IdOf('A'), {1}, Ms(40), Ms(5), Ms(100)});
  Ask('A');
  Pass(60);
  Do(TurnReleased{IdOf('A'), {2}, Ms(60), Ms(7), Ms(101)});
  EXPECT_EQ(Of('A').body.mean(), Ms(50));
  EXPECT_EQ(Of('A').wait.mean(), Ms(6));
  EXPECT_EQ(Of('A').call.max(), Ms(101));
  EXPECT_EQ(Of('A').last_done, now_);
  EXPECT_EQ(Count('A').late_deadline, 1u);
  EXPECT_EQ(Count('A').done, 2u);
}

TEST_F(Turns, WhatMakesNoSenseChangesOnlyACounter) {
  Begin(Gpu(1), "A");
  EXPECT_THAT(Ask('Z'), IsEmpty());
  EXPECT_THAT(Release('Z'), IsEmpty());
  EXPECT_THAT(Leave('Z'), IsEmpty());
  EXPECT_THAT(Do(WarmupPassed{IdOf('Z'), 3}), IsEmpty());
  EXPECT_EQ(engine_->invalid_events(), 4u);

  EXPECT_THAT(Ask('A', 7), IsEmpty());         // no such device
  EXPECT_THAT(Cancel('A'), IsEmpty());         // nothing asked for
  EXPECT_THAT(ReleaseSeq('A', 9), IsEmpty());  // never given
  EXPECT_THAT(Join('A'), IsEmpty());
  EXPECT_EQ(Count('A').invalid, 4u);
  EXPECT_THAT(Device().running, IsEmpty());
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: a turn was free"));
}

TEST_F(Turns, AbsurdDurationsAreClampedButTheTurnGoesBack) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Pass(10);
  EXPECT_THAT(Do(TurnReleased{IdOf('A'), {1}, Ms(-5), Ms(1) * 7'200'000, Duration::max()}),
              ElementsAre("B runs: another body ended"));
  EXPECT_EQ(Count('A').invalid, 3u);
  EXPECT_EQ(Of('A').body.max(), Ms(0));
}

TEST_F(Turns, WarmUpIsCounted) {
  Begin(Gpu(1), "A");
  Do(WarmupPassed{IdOf('A'), 3});
  Do(WarmupPassed{IdOf('A'), 2});
  EXPECT_EQ(Count('A').warmup, 5u);
}

TEST_F(Turns, ForwardedInferencesAreCountedAndHoldNothing) {
  Begin(Gpu(1), "A");
  Do(InferenceForwarded{IdOf('A'), Ms(30)});
  Do(InferenceForwarded{IdOf('Z'), Ms(30)});
  EXPECT_EQ(Count('A').done, 1u);
  EXPECT_EQ(Count('A').forwarded, 1u);
  EXPECT_EQ(Of('A').call.max(), Ms(30));
  EXPECT_EQ(Device().turns, 0u);
  EXPECT_EQ(Device().busy_time, Duration{});
}

TEST_F(Turns, WhatBecameOfCallsBeyondTheRateIsCounted) {
  Begin(Gpu(1), "A");
  Do(ExcessHandled{IdOf('A'), 26, 2, false});
  Do(ExcessHandled{IdOf('A'), 4, 0, true});
  EXPECT_EQ(Count('A').skipped, 30U);
  EXPECT_EQ(Count('A').deferred, 2U);
  EXPECT_EQ(Count('A').reuse_refused, 1U);
}

// An agent that answers early calls hears of its rate; others do not.
TEST_F(Turns, OnlyWhoReusesIsToldItsPeriod) {
  Begin(Gpu(1), "");
  // What `client` is told by this event; -1: nothing.
  const auto told = [&](ClientId client, const Event& event) {
    Duration period{-1};
    for (const Action& action : engine_->Step(event, now_)) {
      const auto* configure = std::get_if<Configure>(&action);
      if (configure != nullptr && configure->client == client) period = configure->period;
    }
    return period;
  };
  const auto joins = [&](std::uint64_t client, Excess excess, double fps) {
    StreamSpec spec;
    spec.required_fps = fps;
    spec.excess = excess;
    return told({client}, ClientJoined{{client}, spec});
  };
  EXPECT_EQ(joins(1, Excess::kReuse, 4), Ms(250));
  EXPECT_EQ(joins(2, Excess::kReuse, 0), Ms(0));
  EXPECT_EQ(joins(3, Excess::kPace, 4), Ms(0));
  EXPECT_EQ(joins(4, Excess::kPass, 4), Ms(0));
  // A rate that changes is told, too: by admission here, or under overload.
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    now_ = now_ + Ms(250);
    engine_->Step(TurnRequested{{1}, {seq}, DeviceId{0}, {}, true}, now_);
    now_ = now_ + Ms(50);
    engine_->Step(TurnReleased{{1}, {seq}, Ms(50), {}, Ms(50)}, now_);
  }
  EXPECT_EQ(told({1}, RateCapped{{1}, 2}), Ms(500));
  EXPECT_EQ(told({1}, RateCapped{{1}, 0}), Ms(250));
}

TEST_F(Turns, ALostReleaseOfAnUngatedBodyDoesNotSilenceTheStream) {
  Begin(Gpu(1, "off"), "A");
  BeginUngated('A');
  BeginUngated('A');
  EXPECT_EQ(Device().running.size(), 1u);
  EXPECT_EQ(Count('A').invalid, 1u);
  Release('A', 10);
  EXPECT_EQ(Count('A').done, 1u);
  EXPECT_THAT(Device().running, IsEmpty());
}

TEST_F(Turns, BothWaysToStepSayTheSame) {
  Begin(Gpu(1), "A");
  std::vector<Action> kept;
  engine_->Step(TurnRequested{IdOf('A'), {1}, {}, {}, true}, now_, &kept);
  ASSERT_EQ(kept.size(), 1u);
  engine_->Step(ClientLeft{IdOf('A')}, now_, &kept);
  EXPECT_EQ(kept.size(), 1u);  // appends
}

using BodyTime = Story;

TEST_F(BodyTime, AloneThereIsNoOverlap) {
  Begin(Gpu(1), "AB");
  Pass(5);
  Ask('A'), Ask('B');
  Pass(10);
  Release('A', 10);
  Pass(20);
  Release('B', 20);
  Pass(5);
  Wait();
  EXPECT_EQ(Device().body_time, Ms(30));
  EXPECT_EQ(Device().busy_time, Ms(30));
  EXPECT_EQ(Device().over_time, Ms(0));
  EXPECT_EQ(Device().turns, 2u);
}

TEST_F(BodyTime, UnderOffTwoAtOnceOverlap) {
  Begin(Gpu(4, "off"), "AB");
  BeginUngated('A');
  Pass(10);
  BeginUngated('B');
  Pass(5);
  Release('A', 15);
  Pass(10);
  Release('B', 15);
  EXPECT_EQ(Device().body_time, Ms(30));
  EXPECT_EQ(Device().busy_time, Ms(25));
  EXPECT_EQ(Device().over_time, Ms(10));
}

TEST_F(BodyTime, UpToTheLimitIsNoOverlap) {
  Begin(Gpu(2), "AB");
  Ask('A'), Ask('B');
  Pass(10);
  Wait();
  EXPECT_EQ(Device().body_time, Ms(20));
  EXPECT_EQ(Device().over_time, Ms(0));
}

TEST_F(BodyTime, ExpiredLeasesCountInNeither) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Pass(250);
  Wait();  // A's lease ends, B runs beside it
  Pass(100);
  Wait();
  EXPECT_EQ(Device().body_time, Ms(350));
  EXPECT_EQ(Device().over_time, Ms(0));
}

TEST_F(BodyTime, AClockThatRunsBackwardsStandsStill) {
  Begin(Gpu(1), "A");
  Ask('A');
  Pass(10);
  Wait();
  Pass(-500);
  Release('A', 10);
  EXPECT_EQ(Device().body_time, Ms(10));
  EXPECT_EQ(Of('A').body.max(), Ms(10));
}

}  // namespace
}  // namespace stagger::core
