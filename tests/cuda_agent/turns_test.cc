// What follows from the detector's verdicts, as short stories.
#include "story.h"

namespace stagger::cuda_agent {
namespace {

TEST_F(Story, ABodyAsksRunsIsRecordedAndGivesItsTurnBack) {
  EXPECT_THAT(Begin(1), ElementsAre("ask for body 1, 0 ms into the call"));
  EXPECT_THAT(Give(1, 7), IsEmpty());
  EXPECT_THAT(Launch(), IsEmpty());
  EXPECT_THAT(End(1), ElementsAre("record body 1 on 1"));
  EXPECT_TRUE(turns_.IsLeaving(1));
  EXPECT_THAT(Finish(1), ElementsAre("give back turn 7 of body 1, done"));
  // Until it is back the process still holds it.
  EXPECT_TRUE(turns_.IsLeaving(1));
  Back(1);
  EXPECT_FALSE(turns_.IsLeaving(1));
  EXPECT_TRUE(turns_.IsEmpty());
}

TEST_F(Story, ACallThatWaitedForTheDeviceGivesTheTurnBackAtOnce) {
  Run(1, 7);
  EXPECT_THAT(EndByWait(1), ElementsAre("give back turn 7 of body 1, done"));
  EXPECT_TRUE(turns_.IsLeaving(1));
  Back(1);
  EXPECT_TRUE(turns_.IsEmpty());
}

TEST_F(Story, WithoutATurnThereIsNothingToRecordOrToAwait) {
  Run(1, 0);
  EXPECT_THAT(End(1), ElementsAre("let go of body 1"));
  EXPECT_TRUE(turns_.IsEmpty());
}

TEST_F(Story, ABodyEndsOnce) {
  Run(1, 7);
  End(1);
  EXPECT_THAT(End(1), IsEmpty());
  EXPECT_THAT(CopyIn(1, 1), IsEmpty());
  Finish(1);
  EXPECT_THAT(Finish(1), IsEmpty());
}

TEST_F(Story, TheNextBodyOfAThreadIsToAwaitTheLast) {
  Run(1, 7);
  EXPECT_THAT(Launch(1, 'a', {.ended_before = 1, .begun = 2}),
              ElementsAre("record body 1 on 1", "ask for body 2, 0 ms into the call"));
  EXPECT_TRUE(turns_.IsLeaving(1));
  EXPECT_FALSE(turns_.IsLeaving(2));
}

TEST_F(Story, ACallBeginsWithItsCopiesIn) {
  CopyIn();
  Pass(2);
  CopyIn();
  Pass(1);
  EXPECT_THAT(Begin(1), ElementsAre("ask for body 1, 3 ms into the call"));
  Give(1, 7);
  Pass(1);
  // They belonged to that body.
  EXPECT_THAT(Begin(2, 1), ElementsAre("ask for body 2, 0 ms into the call"));
}

TEST_F(Story, CopiesLongAgoBeganNothing) {
  CopyIn();
  Pass(2000);
  EXPECT_THAT(Begin(1), ElementsAre("ask for body 1, 0 ms into the call"));
}

TEST_F(Story, AFrameworksCallIsWhereItBegan) {
  CopyIn();
  Pass(2);
  Label(true);
  Pass(5);
  CopyIn();
  Pass(1);
  EXPECT_THAT(Begin(1), ElementsAre("ask for body 1, 6 ms into the call"));
  Give(1, 7);
  EXPECT_THAT(Label(false, 1, 1), ElementsAre("record body 1 on 1"));
  Pass(1);
  EXPECT_THAT(Begin(2), ElementsAre("ask for body 2, 0 ms into the call"));
}

TEST_F(Story, EachStreamOfABodyIsRecordedOnce) {
  Run(1, 7);
  for (const char stream : {'b', 'a', 'c', 'b'}) Launch(1, stream);
  Launch(2, 'x');  // another thread's
  EXPECT_THAT(End(1), ElementsAre("record body 1 on 3"));
  EXPECT_EQ(recorded_[1].first_launch, 1u);
  EXPECT_EQ(recorded_[1].last_launch, 5u);
}

TEST_F(Story, TheLaunchThatFollowsABodyIsNotItsOwn) {
  Run(1, 7);
  EXPECT_THAT(Launch(1, 'b', {.ended_before = 1}), ElementsAre("record body 1 on 1"));
  EXPECT_EQ(recorded_[1].last_launch, 1u);
}

TEST_F(Story, ItsEndMayBeToldByAnotherThreadWhileItAsks) {
  Begin(1, 1);
  EXPECT_THAT(EndByWait(1), IsEmpty());  // another thread's wait
  EXPECT_THAT(Give(1, 7), ElementsAre("body 1 ends with its first call"));
  EXPECT_THAT(End(1), ElementsAre("record body 1 on 1"));
  EXPECT_THAT(Finish(1), ElementsAre("give back turn 7 of body 1, done"));
}

TEST_F(Story, WhatRanBeforeTheGateWasFoundIsAwaitedOnce) {
  Begin(1);
  EXPECT_THAT(FindGate(1), ElementsAre("record earlier work on 1"));
  EXPECT_TRUE(turns_.IsLeaving(1));
  EXPECT_THAT(Finish(0), IsEmpty());  // there is no turn to give back
  EXPECT_FALSE(turns_.IsLeaving(1));
  Give(1, 7);
  Begin(2, 2);
  EXPECT_THAT(FindGate(2), IsEmpty());
}

TEST_F(Story, BodiesWithoutEndMakeRoomOldestFirst) {
  for (phase::BodyId body = 1; body <= Turns::kMaxOpen; ++body) Run(body, body, body);
  EXPECT_THAT(Begin(90, 90),
              ElementsAre("record body 1 on 1", "ask for body 90, 0 ms into the call"));
  Give(90, 90, 90);
  EXPECT_THAT(End(90), ElementsAre("record body 90 on 1"));
}

TEST_F(Story, WhereAllAreAtTheGateATurnTooManyGoesBack) {
  for (phase::BodyId body = 1; body <= Turns::kMaxOpen; ++body) Begin(body, body);
  EXPECT_THAT(Begin(90, 90), ElementsAre("ask for body 90, 0 ms into the call"));
  EXPECT_THAT(Give(90, 5, 90), ElementsAre("give back turn 5 of body 90"));
  EXPECT_THAT(Give(1, 1), IsEmpty());
}

TEST_F(Story, WithTooManyOnTheDeviceTurnsGoBackAtOnce) {
  for (phase::BodyId body = 1; body <= Turns::kMaxLeaving; ++body) {
    Run(body, body);
    EXPECT_THAT(End(body), ElementsAre("record body " + std::to_string(body) + " on 1"));
  }
  Run(999, 999);
  EXPECT_THAT(End(999), ElementsAre("give back turn 999 of body 999"));
}

TEST_F(Story, AMarkedBodyGoesBackWhenItIsIdleAndTheDeviceHasDoneIt) {
  Run(1, 7);
  EXPECT_THAT(MarkAfter(1), ElementsAre("mark body 1"));
  Made('e');
  Pass(2);
  EXPECT_FALSE(turns_.Idle(0, now_));
  EXPECT_TRUE(turns_.HasMarked());
  Pass(1);
  const auto idle = turns_.Idle(0, now_);
  ASSERT_TRUE(idle);
  EXPECT_FALSE(turns_.Idle(1, now_));
  EXPECT_THAT(Told(turns_.Step(MarksPassed{idle->id, idle->marked_launch}, now_)),
              ElementsAre("give back turn 7 of body 1, done"));
  EXPECT_FALSE(turns_.HasMarked());
}

TEST_F(Story, AMarkedBodyThatWentOnIsKept) {
  Run(1, 7);
  MarkAfter(1);
  Made('e');
  Pass(3);
  const auto idle = turns_.Idle(0, now_);
  ASSERT_TRUE(idle);
  Launch();
  EXPECT_THAT(Told(turns_.Step(MarksPassed{idle->id, idle->marked_launch}, now_)), IsEmpty());
  EXPECT_THAT(MarkAfter(1), ElementsAre("mark body 1 again"));
  EXPECT_THAT(Made('e'), IsEmpty());
}

TEST_F(Story, AMarkThatComesTooLateIsSpare) {
  Run(1, 7);
  MarkAfter(1);
  End(1);
  EXPECT_THAT(Made('e'), ElementsAre("an event is spare"));
}

TEST_F(Story, WithoutATurnNothingIsMarked) {
  Run(1, 0);
  EXPECT_THAT(MarkAfter(1), IsEmpty());
}

TEST_F(Story, AnInferenceIsToldWithWhatItWaited) {
  Begin(1);
  Pass(4);
  Give(1, 7);
  phase::Inference inference;
  inference.begin = {Ms(100)};
  inference.body_begin = {Ms(103)};
  inference.body = Ms(5);
  inference.end = {Ms(110)};
  inference.bodies = 1;
  EXPECT_THAT(
      InferenceEnds(inference, phase::State::kSure),
      ElementsAre("an inference of 10 ms is over, 2 ms after its body, having waited 4 ms"));
  EXPECT_THAT(
      InferenceEnds(inference, phase::State::kSure),
      ElementsAre("an inference of 10 ms is over, 2 ms after its body, having waited 0 ms"));
  EXPECT_THAT(InferenceEnds(inference, phase::State::kWarmingUp),
              ElementsAre("a warm-up inference is over"));
}

TEST_F(Story, InAForkedChildNothingIsHeld) {
  Run(1, 7);
  Run(2, 8, 2);
  End(2);
  Begin(3, 3);
  turns_.Step(Forked{});
  EXPECT_TRUE(turns_.IsEmpty());
  EXPECT_THAT(End(1), IsEmpty());
  EXPECT_THAT(Finish(2), IsEmpty());
  // The gate is a new one.
  Begin(4);
  EXPECT_THAT(FindGate(4), ElementsAre("record earlier work on 1"));
}

TEST(QueryRow, TheThirdInARowIsAWaitWithTheTwoBefore) {
  QueryRow row;
  EXPECT_EQ(row.Add(1), 0u);
  EXPECT_EQ(row.Add(1), 0u);
  EXPECT_EQ(row.Add(1), 3u);
  EXPECT_EQ(row.Add(1), 0u);
  EXPECT_TRUE(row.Done());
  EXPECT_EQ(row.Add(1), 0u);
}

TEST(QueryRow, EverySixtyFourthOfALongRowIsTold) {
  QueryRow row;
  int told = 0;
  for (int i = 1; i <= 640; ++i) told += static_cast<int>(row.Add(1));
  EXPECT_EQ(told, 3 + 10);
}

TEST(QueryRow, AnotherThingOrCallBreaksIt) {
  QueryRow row;
  row.Add(1);
  row.Add(1);
  EXPECT_EQ(row.Add(2), 0u);
  EXPECT_FALSE(row.Done());
  row.Add(2);
  row.Break();
  EXPECT_EQ(row.Add(2), 0u);
}

}  // namespace
}  // namespace stagger::cuda_agent
