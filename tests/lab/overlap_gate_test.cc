// The gate of an overlap sweep, with the test as one of the copies on the other end.
#include "lab/overlap/overlap_gate.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr std::chrono::seconds kLimit{20};  // generous: the machine may be busy
constexpr DeviceId kGpu{1};

class OverlapGateTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = "/tmp/stagger-test-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    auto gate = OverlapGate::Listen(folder_ + "/s", {{kGpu, {1, 2, 3}}});
    ASSERT_TRUE(gate) << gate.error().message;
    gate_.emplace(std::move(gate).value());
    // This process is copy 0, and there is no copy 1.
    gate_->Expect({getpgid(0), pid_t{-1}});
    copy_ = Attach();
  }
  void TearDown() override {
    gate_.reset();
    for (const char* name : {"/s", "/s.lock"}) unlink((folder_ + name).c_str());
    rmdir(folder_.c_str());
  }

  UniqueFd Attach() {
    auto socket = wire::Connect(folder_ + "/s");
    EXPECT_TRUE(socket);
    Say(socket->get(), wire::Hello{});
    EXPECT_EQ(Next<wire::Welcome>(socket->get()).gpus.size(), 1u);
    EXPECT_TRUE(Next<wire::Config>(socket->get()).gating);
    return std::move(socket).value();
  }
  void Say(int fd, const wire::Message& message) {
    ASSERT_EQ(wire::Send(fd, message), wire::Io::kOk);
    // Greetings take two turns of it: to accept, and to read.
    for (int i = 0; i < 2; ++i) gate_->Wait(Now() + std::chrono::milliseconds{20}, {});
  }
  bool Silent(int fd) {
    wire::Message message;
    return wire::Receive(fd, &message) == wire::Io::kWouldBlock;
  }
  template <typename T>
  T Next(int fd) {
    wire::Message message;
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kLimit).count())) == 1 &&
        wire::Receive(fd, &message) == wire::Io::kOk) {
      if (const T* wanted = std::get_if<T>(&message)) return *wanted;
    }
    ADD_FAILURE() << "not what was expected next";
    return {};
  }

  std::string folder_;
  std::optional<OverlapGate> gate_;
  UniqueFd copy_;
};

TEST_F(OverlapGateTest, ABodyWaitsUntilItIsGrantedAndItsInferenceIsTimedFromThen) {
  Say(copy_.get(), wire::Request{TurnSeq{1}, kGpu, FromMs(2)});
  EXPECT_TRUE(gate_->AtTheGate(0));
  EXPECT_FALSE(gate_->AtTheGate(1));
  EXPECT_TRUE(Silent(copy_.get())) << "nobody has let it in yet";
  gate_->Grant(0);
  EXPECT_EQ(Next<wire::Grant>(copy_.get()).seq, TurnSeq{1});
  EXPECT_TRUE(gate_->Inferring(0));
  Say(copy_.get(), wire::Release{TurnSeq{1}, FromMs(40), FromMs(7), Duration{0}});
  EXPECT_FALSE(gate_->TakeFinished(0)) << "its post phase goes on";
  Say(copy_.get(), wire::Ended{kGpu, FromMs(30), FromMs(79)});
  const auto finished = gate_->TakeFinished(0);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->times.body_ms, 40);
  EXPECT_EQ(finished->times.total_ms, 70) << "neither pre nor the wait";
  EXPECT_EQ(finished->pre_ms, 2);
  EXPECT_EQ(finished->bodies, 1);
  EXPECT_FALSE(gate_->TakeFinished(0)) << "once";
  EXPECT_FALSE(gate_->Inferring(0));
}

TEST_F(OverlapGateTest, TheNextRequestMayTellThatTheInferenceBeforeIsOver) {
  Say(copy_.get(), wire::Request{TurnSeq{1}, kGpu, FromMs(2)});
  gate_->Grant(0);
  Say(copy_.get(), wire::Release{TurnSeq{1}, FromMs(40), FromMs(7), Duration{0}});
  EXPECT_TRUE(gate_->Inferring(0));
  Say(copy_.get(), wire::Request{TurnSeq{2}, kGpu, FromMs(3), true, false, FromMs(30), FromMs(79)});
  EXPECT_TRUE(gate_->AtTheGate(0)) << "it is a new inference's";
  const auto finished = gate_->TakeFinished(0);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->times.total_ms, 70);
  EXPECT_EQ(finished->bodies, 1);
}

TEST_F(OverlapGateTest, ACallThatIsAllBodyIsOverWithIt) {
  Say(copy_.get(), wire::Request{TurnSeq{1}, wire::kCpuDevice, Duration{0}});
  gate_->Grant(0);
  Say(copy_.get(), wire::Release{TurnSeq{1}, FromMs(8), FromMs(3), FromMs(11)});
  const auto finished = gate_->TakeFinished(0);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->times.total_ms, 8);
  EXPECT_EQ(gate_->device(0), wire::kCpuDevice);
}

TEST_F(OverlapGateTest, FurtherBodiesOfAnInferenceAreLetThroughAndCounted) {
  Say(copy_.get(), wire::Request{TurnSeq{1}, kGpu, FromMs(2)});
  gate_->Grant(0);
  Next<wire::Grant>(copy_.get());
  Say(copy_.get(), wire::Release{TurnSeq{1}, FromMs(10), Duration{0}, Duration{0}});
  Say(copy_.get(), wire::Request{TurnSeq{2}, kGpu, FromMs(20)});
  EXPECT_EQ(Next<wire::Grant>(copy_.get()).seq, TurnSeq{2});
  EXPECT_EQ(gate_->turns_without_end(0), 2);
  Say(copy_.get(), wire::Release{TurnSeq{2}, FromMs(10), Duration{0}, Duration{0}});
  Say(copy_.get(), wire::Ended{kGpu, FromMs(5), FromMs(42)});
  const auto finished = gate_->TakeFinished(0);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->bodies, 2);
  EXPECT_EQ(finished->times.total_ms, 40) << "the call less pre";
}

TEST_F(OverlapGateTest, AnotherProcessOfACopyIsNotHeldUp) {
  Say(copy_.get(), wire::Request{TurnSeq{1}, kGpu, Duration{0}});
  const UniqueFd other = Attach();
  Say(other.get(), wire::Request{TurnSeq{1}, kGpu, Duration{0}});
  EXPECT_EQ(Next<wire::Grant>(other.get()).seq, TurnSeq{1});
  EXPECT_EQ(gate_->bystanders(), 1);
  EXPECT_TRUE(Silent(copy_.get()));
}

TEST_F(OverlapGateTest, WhatMakesNoSenseIsIgnored) {
  Say(copy_.get(), wire::Release{TurnSeq{9}, FromMs(1), Duration{0}, FromMs(1)});
  Say(copy_.get(), wire::Ended{kGpu, FromMs(1), FromMs(1)});
  gate_->Grant(0);
  gate_->Grant(1);
  EXPECT_FALSE(gate_->TakeFinished(0));
  EXPECT_TRUE(Silent(copy_.get()));
}

}  // namespace
}  // namespace stagger::cli
