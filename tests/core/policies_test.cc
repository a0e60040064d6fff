#include "core/policies.h"

#include "story.h"

namespace stagger::core {
namespace {

TEST(PoliciesTest, EveryPolicyIsFoundByItsName) {
  for (const core::Policy& policy : Policies()) EXPECT_EQ(FindPolicy(policy.name), &policy);
  EXPECT_EQ(FindPolicy("lottery"), nullptr);
}

TEST(PoliciesTest, AnUnknownOneIsRefusedWithTheKnownOnes) {
  const Result<void> valid = Validate(PolicySpec{"lottery", 0});
  ASSERT_FALSE(valid);
  EXPECT_THAT(valid.error().message, HasSubstr("lottery"));
  for (const core::Policy& policy : Policies()) {
    EXPECT_THAT(valid.error().message, HasSubstr(std::string(policy.name)));
  }
}

TEST(PoliciesTest, EachSaysWhatItDoesAndHowItOrders) {
  const std::string names = PolicyNames(TurnsOf::kSimulations);
  const std::string choices = PolicyChoices(TurnsOf::kSimulations);
  for (const core::Policy& policy : Policies()) {
    EXPECT_FALSE(policy.order.empty()) << policy.name;
    const std::string name(policy.name);
    EXPECT_THAT(names, HasSubstr(name));
    EXPECT_THAT(choices, HasSubstr(name + " (" + std::string(policy.sentence) + ")"));
  }
}

TEST(PoliciesTest, WholeInferencesAreForSimulationsOnly) {
  EXPECT_TRUE(Validate(PolicySpec{"serial", 1}));
  const Result<void> valid = Validate(PolicySpec{"serial", 1}, TurnsOf::kApps);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().message,
            "serial is for simulations only, since an app's turn ends with its body; use fifo "
            "with concurrency 1");
  EXPECT_THAT(PolicyNames(TurnsOf::kApps), Not(HasSubstr("serial")));
  EXPECT_THAT(Validate(PolicySpec{"lottery"}, TurnsOf::kApps).error().message,
              HasSubstr("is not a policy; known: " + PolicyNames(TurnsOf::kApps)));
  for (const core::Policy& policy : Policies()) {
    if (policy.whole) continue;
    EXPECT_TRUE(CheckPolicyName(std::string(policy.name), TurnsOf::kApps)) << policy.name;
  }
}

TEST(PoliciesTest, AnAbsurdConcurrencyIsRefused) {
  EXPECT_FALSE(Validate(PolicySpec{"fifo", -1}));
  EXPECT_FALSE(Validate(PolicySpec{"fifo", kMaxConcurrency + 1}));
  EXPECT_TRUE(Validate(PolicySpec{"fifo", kMaxConcurrency}));
}

TEST(PoliciesTest, TheDefaultLimitIsOnePerCoreOrOne) {
  DeviceState cpu, gpu;
  cpu.cores = {0, 1, 2, 3};
  const core::Policy& fifo = *FindPolicy("fifo");
  EXPECT_EQ(Limit(fifo, {"fifo", 0}, cpu), 4);
  EXPECT_EQ(Limit(fifo, {"fifo", 0}, gpu), 1);
  EXPECT_EQ(Limit(fifo, {"fifo", 2}, cpu), 2);
  EXPECT_EQ(Limit(*FindPolicy("off"), {"off", 3}, cpu), 1);
}

TEST(CreateTest, SaysWhatIsWrongWithAConfiguration) {
  EngineConfig config;
  EXPECT_FALSE(Engine::Create(config));  // no device
  config.devices = {{"cpu:0", {0, 1, 0}}};
  const auto twice = Engine::Create(config);
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("core 0 twice"));
  config.devices = {{"cpu:0", {0, 1}}};
  EXPECT_TRUE(Engine::Create(config));
  config.policy.name = "lottery";
  EXPECT_FALSE(Engine::Create(config));
  config.policy.name = "fifo";
  config.lease_floor = Duration{0};
  EXPECT_FALSE(Engine::Create(config));
}

using PolicyChange = Story;

TEST_F(PolicyChange, UnderOffWhoAsksRunsAtOnce) {
  Begin(Gpu(1, "off"), "AB");
  EXPECT_THAT(Ask('A'), ElementsAre("A runs: the policy is off, nothing is gated"));
  EXPECT_THAT(Ask('B'), ElementsAre("B runs: the policy is off, nothing is gated"));
  EXPECT_EQ(Device().in_force, 2);
}

TEST_F(PolicyChange, UnderOffUngatedBodiesAreOnlyRecorded) {
  Begin(Gpu(1, "off"), "AB");
  EXPECT_THAT(BeginUngated('A'), IsEmpty());
  EXPECT_THAT(BeginUngated('B'), IsEmpty());
  EXPECT_EQ(Device().running.size(), 2u);
  EXPECT_EQ(engine_->NextDeadline(), kNever);
  Pass(20);
  Release('A', 20);
  EXPECT_EQ(Count('A').done, 1u);
  EXPECT_EQ(Count('A').ungated, 1u);
  EXPECT_EQ(Count('A').granted, 0u);
  EXPECT_TRUE(Of('A').wait.empty());
}

TEST_F(PolicyChange, ToOffLetsAllThatWaitRun) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  EXPECT_THAT(Policy("off"), ElementsAre("B runs: the policy is off, nothing is gated",
                                         "C runs: the policy is off, nothing is gated"));
  EXPECT_EQ(told_.size(), 3u);
  EXPECT_THAT(told_[0], HasSubstr("A free"));
}

TEST_F(PolicyChange, FromOffUngatedBodiesCountUntilTheyEnd) {
  Begin(Gpu(1, "off"), "AB");
  BeginUngated('A');
  Pass(10);
  Policy("fifo", 1);
  EXPECT_EQ(told_.size(), 2u);
  EXPECT_THAT(told_[0], HasSubstr("A gated"));
  EXPECT_THAT(Ask('B'), IsEmpty());  // it would collide with A's
  Pass(10);
  EXPECT_THAT(Release('A', 20), ElementsAre("B runs: another body ended"));
}

TEST_F(PolicyChange, FromOffAHungUngatedBodyHoldsTheDeviceNoLongerThanALease) {
  Begin(Gpu(1, "off"), "AB");
  BeginUngated('A');
  Pass(1000);
  Policy("fifo", 1);
  Ask('B');
  EXPECT_EQ(engine_->NextDeadline(), now_ + Ms(250));
  Pass(250);
  EXPECT_THAT(Wait(), ElementsAre("A expires: the holder kept its turn longer than its lease",
                                  "B runs: the holder kept its turn longer than its lease"));
}

TEST_F(PolicyChange, AHigherLimitLetsMoreRun) {
  Begin(Gpu(1), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  EXPECT_THAT(Policy("fifo", 2), ElementsAre("B runs: the policy or its limit changed"));
}

TEST_F(PolicyChange, ALowerLimitTakesNothingAway) {
  Begin(Gpu(2), "ABC");
  Ask('A'), Ask('B'), Ask('C');
  EXPECT_THAT(Policy("fifo", 1), IsEmpty());
  EXPECT_EQ(Device().in_force, 2);
  EXPECT_THAT(Release('A'), IsEmpty());
  EXPECT_THAT(Release('B'), ElementsAre("C runs: another body ended"));
}

TEST_F(PolicyChange, AnUnknownPolicyChangesNothing) {
  Begin(Gpu(2), "A");
  EXPECT_THAT(Policy("lottery"), IsEmpty());
  EXPECT_EQ(engine_->policy().name, "fifo");
  EXPECT_EQ(engine_->invalid_events(), 1u);
}

}  // namespace
}  // namespace stagger::core
