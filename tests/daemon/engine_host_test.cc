// The host of the engine without a process: messages in, messages out.
#include "daemon/clients/engine_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace stagger::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

constexpr ClientId kGate{1};
constexpr ClientId kYard{2};

class EngineHostTest : public testing::Test {
 protected:
  EngineHostTest() {
    core::EngineConfig config;
    config.devices = {{"cpu:0", {0, 1}}};
    config.policy.name = "fifo";
    config.policy.concurrency = 1;
    auto host = EngineHost::Create(config, {}, AdmissionMode::kOff, nullptr, now_);
    EXPECT_TRUE(host);
    host_ = std::move(host).value();
  }
  std::string Join(ClientId client, const std::string& name) {
    wire::Hello hello;
    hello.spec.name = name;
    return host_->Join(client, hello, "app", 17, 1, "an app", now_);
  }
  void Request(ClientId client, std::uint64_t seq) {
    EXPECT_TRUE(
        host_->OnMessage(client, wire::Request{TurnSeq{seq}, wire::kCpuDevice, {}, true}, now_));
  }
  std::vector<Outgoing> Take() {
    std::vector<Outgoing> out;
    host_->TakeOutgoing(&out);
    return out;
  }
  // Of what is taken, the messages of one kind to one client.
  template <typename T>
  std::vector<T> TakeOf(ClientId client) {
    std::vector<T> found;
    for (const Outgoing& each : Take()) {
      if (const auto* one = std::get_if<T>(&each.message); one != nullptr && each.to == client) {
        found.push_back(*one);
      }
    }
    return found;
  }

  TimePoint now_{seconds{1000}};
  std::unique_ptr<EngineHost> host_;
};

TEST_F(EngineHostTest, AStreamThatJoinsIsToldHowToBehave) {
  EXPECT_EQ(Join(kGate, "gate"), "gate");
  EXPECT_THAT(TakeOf<wire::Config>(kGate), SizeIs(1));
  EXPECT_THAT(Take(), IsEmpty()) << "what was taken does not come again";
  EXPECT_EQ(Join(kYard, "gate"), "gate-2") << "the name is taken";
}

TEST_F(EngineHostTest, AnExecutorThatIsStartedAgainMayComeBeforeItsForerunnerHasLeft) {
  Join(kGate, "executor");
  Join(kYard, "executor");
  for (const ClientId client : {kGate, kYard}) {
    EXPECT_TRUE(host_->OnMessage(client, wire::Serves{"/e0"}, now_));
  }
  EXPECT_EQ(host_->ExecutorName("/e0"), "executor");
  host_->Leave(kGate, now_);
  EXPECT_EQ(host_->ExecutorName("/e0"), "executor-2");
  host_->Leave(kYard, now_);
  EXPECT_EQ(host_->ExecutorName("/e0"), "/e0");
}

TEST_F(EngineHostTest, TurnsGoRound) {
  Join(kGate, "gate");
  Join(kYard, "yard");
  Take();
  Request(kGate, 1);
  const auto granted = TakeOf<wire::Grant>(kGate);
  ASSERT_THAT(granted, SizeIs(1));
  EXPECT_EQ(granted[0].seq, TurnSeq{1});
  Request(kYard, 5);
  EXPECT_THAT(TakeOf<wire::Grant>(kYard), IsEmpty());
  now_ = now_ + milliseconds{10};
  EXPECT_TRUE(host_->OnMessage(kGate, wire::Release{TurnSeq{1}, milliseconds{10}, {}, {}}, now_));
  EXPECT_THAT(TakeOf<wire::Grant>(kYard), SizeIs(1));
}

TEST_F(EngineHostTest, WhoeverLeavesGivesItsTurnBack) {
  Join(kGate, "gate");
  Join(kYard, "yard");
  Request(kGate, 1);
  Request(kYard, 1);
  Take();
  host_->Leave(kGate, now_);
  EXPECT_THAT(TakeOf<wire::Grant>(kYard), SizeIs(1));
  host_->Leave(kGate, now_);
  EXPECT_THAT(Take(), IsEmpty()) << "it has left already";
}

TEST_F(EngineHostTest, ALeaseThatEndsIsToldAtItsDeadline) {
  Join(kGate, "gate");
  Request(kGate, 1);
  Take();
  now_ = host_->NextDeadline();
  ASSERT_NE(now_, kNever);
  host_->Tick(now_);
  EXPECT_THAT(TakeOf<wire::Expired>(kGate), SizeIs(1));
}

TEST_F(EngineHostTest, WhatIsAssignedBeforeAStreamJoinsComesBeforeItsConfig) {
  ASSERT_TRUE(host_->Assign("gate", {"/run/executor"}, "for a test", now_));
  EXPECT_THAT(Take(), IsEmpty()) << "nobody is there to be told";
  Join(kGate, "gate");
  const std::vector<Outgoing> out = Take();
  ASSERT_THAT(out, SizeIs(2));
  ASSERT_TRUE(std::holds_alternative<wire::Assign>(out[0].message));
  EXPECT_THAT(std::get<wire::Assign>(out[0].message).executors,
              testing::ElementsAre("/run/executor"));
  EXPECT_TRUE(std::holds_alternative<wire::Config>(out[1].message));
}

TEST_F(EngineHostTest, APolicyThatIsNoneChangesNothing) {
  Join(kGate, "gate");
  Take();
  core::PolicySpec policy = host_->engine().policy();
  policy.name = "nonsense";
  EXPECT_FALSE(host_->SetPolicy(policy, now_));
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_EQ(host_->engine().policy().name, "fifo");
  policy.name = "off";
  EXPECT_TRUE(host_->SetPolicy(policy, now_));
  const auto told = TakeOf<wire::Config>(kGate);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_FALSE(told[0].gating);
}

TEST_F(EngineHostTest, WhatAgentsDoNotSendIsRefused) {
  Join(kGate, "gate");
  Take();
  EXPECT_FALSE(host_->OnMessage(kGate, wire::Grant{}, now_));
  EXPECT_THAT(Take(), IsEmpty());
}

}  // namespace
}  // namespace stagger::daemon
