// A device that only one stream uses: its bodies begin without waiting for an answer.
#include "story.h"

namespace stagger::core {
namespace {

class Exclusive : public Story {
 protected:
  static EngineConfig TwoGpus(std::string policy = "edf") {
    EngineConfig config = Gpu(1, std::move(policy));
    config.devices.push_back({"gpu:1", {}});
    config.exclusive_after = Ms(1000);
    return config;
  }
  // A body of 50 ms and 50 ms of rest.
  void Infer(char name, std::uint32_t device = 0) {
    Ask(name, device);
    Pass(50);
    Release(name, 50);
    Pass(50);
  }
  void InferTimes(char name, int times, std::uint32_t device = 0) {
    for (int i = 0; i < times; ++i) Infer(name, device);
  }
};

TEST_F(Exclusive, WhoHasADeviceToItselfNeedNotWait) {
  Begin(TwoGpus(), "A");
  InferTimes('A', 10);
  EXPECT_EQ(knows_['A'].exclusive, 0U) << "not even a second since it came";
  Infer('A');
  EXPECT_EQ(knows_['A'].exclusive, 1U);
  EXPECT_THAT(BeginExclusive('A'), IsEmpty()) << "no grant: it has begun";
  EXPECT_EQ(Device().in_force, 1);
  EXPECT_EQ(Device().running[0].lease_end, now_ + Ms(250));
  Pass(50);
  Release('A', 50);
  EXPECT_EQ(Device().in_force, 0);
  EXPECT_EQ(Count('A').granted, 12u);
  EXPECT_EQ(Count('A').exclusive, 1u);
  EXPECT_EQ(Count('A').ungated, 0u);
}

TEST_F(Exclusive, DevicesAreApart) {
  Begin(TwoGpus(), "AB");
  for (int i = 0; i < 12; ++i) Infer('A', 0), Infer('B', 1);
  EXPECT_EQ(knows_['A'].exclusive, 1U);
  EXPECT_EQ(knows_['B'].exclusive, 2U);
  Ask('B', 0);
  EXPECT_EQ(knows_['A'].exclusive, 0U);
  EXPECT_EQ(knows_['B'].exclusive, 2U);
}

TEST_F(Exclusive, WhoComesWaitsForTheBodyThatHasBegun) {
  Begin(TwoGpus(), "AB");
  InferTimes('A', 12);
  BeginExclusive('A');
  EXPECT_THAT(Ask('B'), IsEmpty());
  EXPECT_THAT(told_, ElementsAre(HasSubstr("streams joined or left")));
  EXPECT_EQ(knows_['A'].exclusive, 0U);
  Pass(50);
  EXPECT_THAT(Release('A', 50), ElementsAre("B runs: another body ended"));
}

TEST_F(Exclusive, ABodyThatBeganBeforeTheWordCameGoesFirst) {
  Begin(TwoGpus(), "AB");
  InferTimes('A', 12);
  EXPECT_THAT(Ask('B'), IsEmpty()) << "one of A's may be under way";
  EXPECT_EQ(engine_->NextDeadline(), now_ + Ms(1));
  BeginExclusive('A');
  Pass(1);
  EXPECT_THAT(Wait(), IsEmpty());
  Pass(49);
  EXPECT_THAT(Release('A', 50), ElementsAre("B runs: another body ended"));
}

TEST_F(Exclusive, WhereNoneHadBegunTheWaitIsAMillisecond) {
  Begin(TwoGpus(), "AB");
  InferTimes('A', 12);
  Ask('B');
  Pass(1);
  EXPECT_THAT(Wait(), ElementsAre("B runs: a turn was free"));
  EXPECT_THAT(Ask('A'), IsEmpty());
  Release('B');
  InferTimes('B', 5);
  EXPECT_EQ(knows_['A'].exclusive, 0U);
  EXPECT_EQ(knows_['B'].exclusive, 0U);
}

TEST_F(Exclusive, ANewStreamEndsItBeforeItsFirstBody) {
  Begin(TwoGpus(), "A");
  InferTimes('A', 12);
  Join('B');
  EXPECT_EQ(knows_['A'].exclusive, 0U);
  InferTimes('A', 12);
  EXPECT_EQ(knows_['A'].exclusive, 1U) << "it has come, but does nothing here";
}

TEST_F(Exclusive, AHungBodyLosesItsTurnLikeAnyOther) {
  Begin(TwoGpus(), "AB");
  InferTimes('A', 12);
  BeginExclusive('A');
  Ask('B');
  Pass(250);
  EXPECT_THAT(Wait(), ElementsAre(HasSubstr("A expires"), HasSubstr("B runs")));
}

TEST_F(Exclusive, ALostEndIsMadeUpForByTheNextBody) {
  Begin(TwoGpus(), "A");
  InferTimes('A', 12);
  BeginExclusive('A');
  Pass(50);
  BeginExclusive('A');
  EXPECT_EQ(Device().in_force, 1);
  EXPECT_EQ(Device().running.size(), 1u);
}

TEST_F(Exclusive, NotUnderPoliciesThatSayWhen) {
  for (const char* policy : {"spaced", "off"}) {
    Begin(TwoGpus(policy), "A");
    InferTimes('A', 20);
    EXPECT_EQ(knows_['A'].exclusive, 0U) << policy;
  }
  Begin(TwoGpus("fifo"), "A");
  InferTimes('A', 12);
  EXPECT_EQ(knows_['A'].exclusive, 1U);
  Policy("spaced");
  EXPECT_EQ(knows_['A'].exclusive, 0U);
}

TEST_F(Exclusive, NotOnACpuWhereATurnSaysWhichCores) {
  EngineConfig config = Cpu({0, 1}, 1);
  config.exclusive_after = Ms(1000);
  Begin(config, "A");
  InferTimes('A', 20);
  EXPECT_EQ(knows_['A'].exclusive, 0U);
}

TEST_F(Exclusive, NotUnlessAskedFor) {
  Begin(Gpu(1), "A");
  InferTimes('A', 20);
  EXPECT_EQ(knows_['A'].exclusive, 0U);
}

}  // namespace
}  // namespace stagger::core
