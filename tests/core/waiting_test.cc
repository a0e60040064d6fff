// What a stream has waited for, worked out from what the engine remembers.
#include "core/waiting.h"

#include "story.h"

namespace stagger::core {
namespace {

class Waiting : public Story {
 protected:
  WaitingAccount Account(char name) {
    return AccountOf(engine_->streams().at(IdOf(name)).waits, engine_->devices(), IdOf(name));
  }
  // "B 30, C 10", in milliseconds.
  static std::string Behind(const WaitingAccount& account) {
    std::string text;
    for (const auto& [client, time] : account.behind) {
      text += text.empty() ? "" : ", ";
      text += static_cast<char>(client.value);
      text += " " + std::to_string(time / Ms(1));
    }
    return text;
  }
};

TEST_F(Waiting, IsCountedForThoseThatRanMeanwhile) {
  Begin(Gpu(1), "ABC");
  Ask('B');
  Pass(5);
  Ask('C');
  Ask('A');
  Pass(20);
  Release('B', 25);
  Pass(10);
  Release('C', 10);
  EXPECT_EQ(Account('A').waits, 1u);
  EXPECT_EQ(Account('A').queued, Ms(30));
  EXPECT_EQ(Behind(Account('A')), "B 20, C 10");
  EXPECT_EQ(Account('A').nobody, Ms(0));
  EXPECT_EQ(Behind(Account('C')), "B 20");
  EXPECT_EQ(Behind(Account('B')), "") << "it never waited";
  EXPECT_EQ(Of('A').waits[0].reason, Reason::kReleased);
}

TEST_F(Waiting, IsDividedAmongThoseThatRanAtOnce) {
  Begin(Gpu(2), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  Pass(10);
  Release('A', 10);
  EXPECT_EQ(Account('C').queued, Ms(10));
  EXPECT_EQ(Behind(Account('C')), "A 5, B 5");
}

TEST_F(Waiting, RemembersWhoLeft) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Pass(10);
  Leave('A');
  EXPECT_EQ(Behind(Account('B')), "A 10");
  EXPECT_EQ(Of('B').waits[0].reason, Reason::kHolderGone);
}

TEST_F(Waiting, EndsForTheOthersWithTheLease) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('B');
  Pass(250);
  Wait();
  Pass(10);
  Ask('C');
  Pass(10);
  Release('B', 20);
  EXPECT_EQ(Behind(Account('B')), "A 250");
  EXPECT_EQ(Behind(Account('C')), "B 10") << "A runs on, but keeps nobody out";
  ASSERT_EQ(Of('A').incidents.size(), 1u);
  EXPECT_EQ(Of('A').incidents[0].kind, Incident::Kind::kExpired);
  EXPECT_EQ(Of('A').incidents[0].after, Ms(250));
}

TEST_F(Waiting, TellsTheSpacingFromOthersBodies) {
  Begin(Gpu(1, "spaced"), "AB");
  Ask('A'), Ask('B');
  Pass(20);
  Release('A', 20);
  Pass(40);
  EXPECT_THAT(Wait(), ElementsAre("B runs: the spacing since the last start has passed"));
  EXPECT_EQ(Behind(Account('B')), "A 20");
  EXPECT_EQ(Account('B').nobody, Ms(40));
}

TEST_F(Waiting, SaysHowOftenOthersWentFirst) {
  Begin(Gpu(1, "edf"));
  StreamSpec hurried;
  hurried.deadline = Ms(50);
  Join('A'), Join('B'), Join('C', hurried);
  Ask('A'), Ask('B'), Ask('C');
  Pass(10);
  EXPECT_THAT(Release('A', 10), ElementsAre("C runs: its deadline comes first"));
  Pass(10);
  Release('C', 10);
  EXPECT_EQ(Account('B').overtaken, 1u);
  EXPECT_EQ(Account('C').overtaken, 0u);
  EXPECT_EQ(Behind(Account('B')), "A 10, C 10");
}

TEST_F(Waiting, IsToldFromARateThatWasLowered) {
  Begin(Gpu(1), "A");
  StreamSpec spec;
  spec.required_fps = 50;
  Join('B', spec);
  for (int i = 0; i < 4; ++i) {
    Ask('B');
    Pass(10);
    Release('B', 10);
  }
  Do(RateCapped{IdOf('B'), 10});
  Ask('B');  // its first slot
  Pass(10);
  Release('B', 10);
  Ask('B');  // a period too early
  while (Of('B').seats[0].holds != Seat::Holds::kRuns) {
    Pass(1);
    Wait();
  }
  EXPECT_GT(Account('B').deferred, Ms(50));
  EXPECT_EQ(Account('B').queued, Ms(0));
  EXPECT_EQ(Account('B').waited, Account('B').deferred);
}

TEST_F(Waiting, ThatWasGivenUpIsAnIncident) {
  Begin(Gpu(1), "AB");
  Ask('A'), Ask('B');
  Pass(30);
  Cancel('B');
  ASSERT_EQ(Of('B').incidents.size(), 1u);
  EXPECT_EQ(Of('B').incidents[0].kind, Incident::Kind::kGaveUp);
  EXPECT_EQ(Of('B').incidents[0].after, Ms(30));
  Cancel('A');  // it runs: not a wait that was given up
  EXPECT_EQ(Of('A').incidents.size(), 0u);
}

TEST_F(Waiting, KeepsTheNewestAndNoMore) {
  Begin(Gpu(1), "AB");
  for (int i = 0; i < 2000; ++i) {
    Ask('A'), Ask('B');
    Pass(i < 1900 ? 1 : 3);
    Release('A', 1);
    Release('B', 0);
  }
  EXPECT_EQ(Of('B').waits.size(), 64u);
  EXPECT_EQ(Device().past.size(), 1024u);
  EXPECT_EQ(Account('B').queued, 64 * Ms(3));
  EXPECT_EQ(Behind(Account('B')), "A 192");
}

TEST_F(Waiting, LeavesOutWhatIsNoLongerKnown) {
  EngineConfig config = Gpu(1);
  Begin(config, "ABC");
  Ask('A'), Ask('B');
  Pass(10);
  Release('A', 10);
  Release('B', 0);
  EXPECT_EQ(Account('B').waits, 1u);
  for (int i = 0; i < 1024; ++i) {
    Ask('C');
    Pass(1);
    Release('C', 1);
  }
  EXPECT_EQ(Account('B').waits, 0u);
}

}  // namespace
}  // namespace stagger::core
