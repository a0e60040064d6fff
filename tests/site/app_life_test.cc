// What follows when apps start, end, break and move, as short stories.
#include "app_life_story.h"

namespace stagger::cli::life {
namespace {

// ---- Starting ----

TEST_F(Story, AppsStartInOrderAndTheSiteEndsWithTheLast) {
  EXPECT_THAT(Open("ab"), ElementsAre("ready?"));
  EXPECT_THAT(Wait(), ElementsAre("a: started, pid 1", "b: started, pid 2"));
  EXPECT_THAT(Finish('b'), ElementsAre("b: finished", "b is done"));
  EXPECT_FALSE(life_.IsOver());
  EXPECT_THAT(Finish('a'), ElementsAre("a: finished", "a is done"));
  EXPECT_TRUE(life_.IsOver());
}

TEST_F(Story, AppsWaitUntilEachServiceListens) {
  EXPECT_THAT(Open("a", "xy"), ElementsAre("x: started, pid 1", "y: started, pid 2"));
  EXPECT_THAT(Listen('y'), IsEmpty());
  EXPECT_THAT(Wait(4000), IsEmpty());
  EXPECT_THAT(Listen('x'), ElementsAre("ready?"));
  EXPECT_THAT(Wait(), ElementsAre("a: started, pid 3"));
}

TEST_F(Story, AServiceThatDoesNotListenIsNotWaitedForLong) {
  Open("a", "x");
  EXPECT_THAT(Wait(4999), IsEmpty());
  EXPECT_THAT(Wait(1), ElementsAre("ready?", "a: started, pid 2"));
}

TEST_F(Story, AServiceThatEndsIsNotWaitedForEither) {
  Open("a", "x");
  EXPECT_THAT(Fail('x'), ElementsAre("ready?"));
  EXPECT_THAT(Wait(), ElementsAre("x: failed (exit code 1); again in 1 s", "a: started, pid 2"));
  EXPECT_THAT(Wait(1000), ElementsAre("x: started, pid 3"));
  // Nothing waits for it by now.
  EXPECT_THAT(Wait(9000), IsEmpty());
}

TEST_F(Story, NoAppStartsWhereTheSiteIsNotReady) {
  is_ready_ = false;
  Open("a", "x");
  EXPECT_THAT(Listen('x'), ElementsAre("ready?", "end x"));
  EXPECT_THAT(Wait(1000), IsEmpty());
  EXPECT_THAT(Fail('x'), IsEmpty());
  EXPECT_TRUE(life_.IsOver());
}

TEST_F(Story, AnAppThatIsRefusedTriesEverySecondAndSaysWhyOnce) {
  no_['a'] = "it has no place";
  Open("a");
  EXPECT_THAT(Wait(), ElementsAre("a: waits: it has no place"));
  EXPECT_THAT(Wait(5000), IsEmpty());
  no_['a'] = "the GPU is gone";
  EXPECT_THAT(Wait(1000), ElementsAre("a: waits: the GPU is gone"));
  no_.clear();
  EXPECT_THAT(Wait(999), IsEmpty());
  EXPECT_THAT(Wait(1), ElementsAre("a: started, pid 1"));
  // That it once waited is no reason to be silent of the next time.
  no_['a'] = "the GPU is gone";
  Fail('a');
  EXPECT_THAT(Wait(1000),
              ElementsAre("a: failed (exit code 1); again in 1 s", "a: waits: the GPU is gone"));
}

TEST_F(Story, AProgramThatCannotBeExecutedIsTriedLessAndLess) {
  missing_ = {'a'};
  Open("a");
  EXPECT_THAT(Wait(), ElementsAre("a: no such program; again in 1 s"));
  EXPECT_THAT(Wait(1000), ElementsAre("a: no such program; again in 2 s"));
  EXPECT_THAT(Wait(2000), ElementsAre("a: no such program; again in 4 s"));
}

// ---- Failing ----

TEST_F(Story, PausesDoubleUpToHalfAMinute) {
  Run("a");
  for (const int seconds : {1, 2, 4, 8, 16, 30, 30}) {
    Fail('a');
    EXPECT_THAT(Wait(seconds * 1000 - 1),
                ElementsAre("a: failed (exit code 1); again in " + std::to_string(seconds) + " s"));
    EXPECT_EQ(Wait(1).size(), 1u) << seconds;
  }
}

TEST_F(Story, AnAppThatRanForAMinuteFailsForTheFirstTimeAgain) {
  Run("a");
  Fail('a');
  Wait(1000);
  Wait(59'999);
  Fail('a');
  EXPECT_THAT(Wait(2000),
              ElementsAre("a: failed (exit code 1); again in 2 s", "a: started, pid 3"));
  Wait(60'000);
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: failed (exit code 1); again in 1 s"));
}

// ---- Faults of a GPU ----

class AfterAFault : public Story {
 protected:
  AfterAFault() { watches_faults_ = true; }
};

TEST_F(AfterAFault, TheDaemonHasTimeToHearOfAllItBroke) {
  Run("ab");
  EXPECT_THAT(Fail('a'), IsEmpty());
  EXPECT_THAT(Wait(499), IsEmpty());
  EXPECT_THAT(Wait(1), ElementsAre("a: failed (exit code 1); again in 1 s"));
}

TEST_F(AfterAFault, AllStartOnceTheLastBrokenOneHasGoneAndTheCulpritMuchLater) {
  Run("abc");
  Fault("a", "abc");
  Fail('a');
  Fail('b');
  EXPECT_THAT(Wait(500), ElementsAre("gpu:0: a fault (illegal address by a) broke a, b, c",
                                     "a: ended by its own GPU fault (exit code 1); again in 30 s",
                                     "b: ended by a GPU fault (exit code 1); again in 1 s"));
  // The third takes no notice.
  EXPECT_THAT(Wait(1500),
              ElementsAre("b: waits until c (pid 3), which the GPU fault broke, has ended",
                          "c: its GPU context is broken: stopping it", "end c"));
  EXPECT_THAT(Finish('c'), IsEmpty());
  EXPECT_THAT(Wait(500), ElementsAre("c: ended by a GPU fault (exit code 0); again in 1 s",
                                     "b: started, pid 4"));
  EXPECT_THAT(Wait(1000), ElementsAre("c: started, pid 5"));
  EXPECT_THAT(Wait(26'999), IsEmpty());
  EXPECT_THAT(Wait(1), ElementsAre("a: started, pid 6"));
}

TEST_F(AfterAFault, TheCulpritsPausesDoubleUpToTenMinutes) {
  Run("a");
  for (const int seconds : {30, 60, 120, 240, 480, 600, 600}) {
    Fault("a", "a");
    Fail('a');
    const Lines lines = Wait(500);
    EXPECT_EQ(lines.back(), "a: ended by its own GPU fault (exit code 1); again in " +
                                std::to_string(seconds) + " s");
    EXPECT_THAT(Wait(seconds * 1000 - 1), IsEmpty());
    EXPECT_EQ(Wait(1).size(), 1u) << seconds;
  }
}

TEST_F(AfterAFault, WhereTheCulpritIsNotKnownEachMayHaveBeenIt) {
  Run("ab");
  for (const char* seconds : {"1", "2", "4"}) {
    Fault("", "ab");
    Fail('a');
    Fail('b');
    const Lines lines = Wait(500);
    EXPECT_EQ(lines.back(),
              std::string("b: ended by a GPU fault (exit code 1); again in ") + seconds + " s");
    Wait(4000);
  }
}

TEST_F(AfterAFault, ABrokenAppThatDoesNotEndIsKilled) {
  Run("a");
  Fault("", "a");
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_THAT(Wait(1999), IsEmpty());
  EXPECT_THAT(Wait(1), ElementsAre("a: its GPU context is broken: stopping it", "end a"));
  EXPECT_THAT(Wait(4999), IsEmpty());
  EXPECT_THAT(Wait(1), ElementsAre("a: did not end within 5 s: killed", "kill a"));
}

TEST_F(AfterAFault, ABrokenAppThatWillNotDieHoldsOthersUpForHalfAMinute) {
  Run("ab");
  Fault("b", "ab");
  Fail('a');
  Wait(1500);
  Look();
  const Lines lines = Wait(29'999);
  EXPECT_THAT(lines, testing::Not(testing::Contains("a: started, pid 3")));
  EXPECT_THAT(Wait(1), testing::Contains("a: started, pid 3"));
}

TEST_F(AfterAFault, AnOldFaultBreaksNoLaterProcess) {
  Run("a");
  Fault("", "a");
  Fault("", "a");
  Fail('a');
  EXPECT_THAT(Wait(1500), testing::Contains("a: started, pid 2"));
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_THAT(Wait(30'000), IsEmpty());
  // Nor one that the site file has put in its place.
  Reload("a", "a");
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: started, pid 3"));
  Look();
  EXPECT_THAT(Wait(30'000), IsEmpty());
}

// ---- Moves ----

TEST_F(Story, AnAppThatHasAnotherPlaceStartsThereAsSoonAsItHasEnded) {
  Run("a");
  Fail('a');
  Wait(1000);
  EXPECT_THAT(Move('a'), IsEmpty());
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: ended (exit code 1), and has another place now",
                                  "a: started, pid 3"));
  // Its failures were not forgotten.
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: failed (exit code 1); again in 2 s"));
}

TEST_F(Story, ItsPlaceMayBeLookedUpOnlyThen) {
  Run("a");
  moves_on_looking_ = {'a'};
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: ended (exit code 1), and has another place now",
                                  "a: started, pid 2"));
}

TEST_F(Story, APlaceThatItIsBackAtIsNoOther) {
  Run("a");
  Move('a');
  Move('a', "");
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: failed (exit code 1); again in 1 s"));
}

TEST_F(Story, WhereTheSiteSaysSoAnAppIsRestartedForItsNewPlace) {
  restart_moved_ = true;
  Run("a");
  EXPECT_THAT(Move('a'), IsEmpty());
  EXPECT_THAT(Wait(1000),
              ElementsAre("a: is stopped, to start at its new place: it is faster", "end a"));
  EXPECT_THAT(Wait(5000), ElementsAre("a: did not end within 5 s: killed", "kill a"));
  EXPECT_THAT(Finish('a'), IsEmpty());
  EXPECT_THAT(Wait(), ElementsAre("a: started, pid 2"));
}

TEST_F(Story, AnAppThatIsBackInTimeIsNotRestarted) {
  restart_moved_ = true;
  Run("a");
  Move('a');
  Wait(500);
  EXPECT_THAT(Move('a', ""), IsEmpty());
  EXPECT_THAT(Wait(60'000), IsEmpty());
}

TEST_F(Story, OneThatEndsByItselfStartsAtItsNewPlaceAtOnce) {
  restart_moved_ = true;
  Run("a");
  Move('a');
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: ended (exit code 1), and has another place now",
                                  "a: started, pid 2"));
}

TEST_F(AfterAFault, WhatHappenedAtTheOldPlaceHoldsNothingUp) {
  Run("ab");
  Fault("a", "ab");
  Fail('a');
  Move('a');
  EXPECT_THAT(Wait(500), ElementsAre("gpu:0: a fault (illegal address by a) broke a, b",
                                     "a: ended (exit code 1), and has another place now",
                                     "a: started, pid 3"));
}

// ---- Reloads ----

TEST_F(Story, WhatTheFileHasNoMoreEndsAndWhatIsNewStarts) {
  Run("ab");
  EXPECT_THAT(Reload("a", "c"), ElementsAre("end a"));
  EXPECT_THAT(Wait(), ElementsAre("c: started, pid 3"));
  EXPECT_THAT(Fail('a'), ElementsAre("a: stopped (exit code 1)"));
  EXPECT_THAT(Wait(60'000), IsEmpty());
  EXPECT_EQ(life_.apps().size(), 2u);
}

TEST_F(Story, WhatChangedStartsAgainUnderItsNameOnceItHasEnded) {
  Run("a");
  Fail('a');
  Wait(1000);
  EXPECT_THAT(Reload("a", "a"), ElementsAre("end a"));
  EXPECT_THAT(Wait(5000), ElementsAre("a: did not end within 5 s: killed", "kill a"));
  EXPECT_THAT(Fail('a'), ElementsAre("a: stopped (exit code 1)"));
  EXPECT_THAT(Wait(), ElementsAre("a: started, pid 3"));
  // Its failures were another one's.
  Fail('a');
  EXPECT_THAT(Wait(), ElementsAre("a: failed (exit code 1); again in 1 s"));
}

TEST_F(Story, WhatDoesNotRunIsChangedAtOnce) {
  Run("abc");
  Finish('a');
  Fail('b');
  Wait();
  EXPECT_THAT(Reload("ab", "a"), IsEmpty());
  EXPECT_THAT(Wait(60'000), ElementsAre("a: started, pid 4"));
}

TEST_F(Story, TheLastReloadDecides) {
  Run("ab");
  Reload("a", "a");
  Reload("a", "");
  Fail('a');
  EXPECT_THAT(Wait(60'000), IsEmpty());
  Reload("b", "");
  Reload("", "b");
  EXPECT_THAT(Fail('b'), ElementsAre("b: stopped (exit code 1)"));
  EXPECT_THAT(Wait(), ElementsAre("b: started, pid 3"));
}

TEST_F(Story, ASiteThatHasLostItsLastAppEnds) {
  Run("a", "x");
  Reload("a", "");
  EXPECT_THAT(Finish('a'), ElementsAre("a: stopped (exit code 0)", "end x"));
}

// ---- The end ----

TEST_F(Story, AppsEndFirstAndServicesAfterThem) {
  Run("ab", "x");
  EXPECT_THAT(StopAll(), ElementsAre("end a", "end b"));
  EXPECT_THAT(Fail('a'), IsEmpty());
  EXPECT_THAT(Wait(5000), ElementsAre("b: did not end within 5 s: killed", "kill b"));
  EXPECT_THAT(Fail('b'), ElementsAre("end x"));
  EXPECT_FALSE(life_.IsOver());
  Finish('x');
  EXPECT_TRUE(life_.IsOver());
}

TEST_F(Story, NothingStartsThen) {
  Run("abc", "xy");
  Fail('a');
  Fail('x');
  Wait();
  StopAll();
  Reload("b", "bd");
  Move('c');
  Fail('b');
  Fail('y');
  Fail('c');
  EXPECT_THAT(Wait(60'000), IsEmpty());
  EXPECT_TRUE(life_.IsOver());
}

TEST_F(Story, NoAppStartsInASiteThatIsStoppedBeforeItsServicesListen) {
  Open("a", "x");
  EXPECT_THAT(StopAll(), ElementsAre("end x"));
  EXPECT_THAT(Listen('x'), IsEmpty());
  Fail('x');
  EXPECT_THAT(Wait(60'000), IsEmpty());
  EXPECT_TRUE(life_.IsOver());
}

}  // namespace
}  // namespace stagger::cli::life
