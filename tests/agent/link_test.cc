// The link thread in this process, with the test as its daemon: one of the first protocol, so that
// what is newer there and here must not matter.
#include "agent/link.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "wire/first_protocol/protocol.h"
#include "wire/timers.h"

namespace stagger::agent {
namespace {

namespace first = first_protocol;

constexpr int kLimitMs = 20'000;  // generous: the machine may be busy

// An app's agent, as far as it meets a daemon. Its thread lives as long as the process does, so it
// is never destroyed.
struct Agent {
  explicit Agent(const std::string& socket) {
    options.socket = socket;
    options.hello.spec.name = "app";
  }
  bool AwaitAttached() {
    const TimePoint end = Now() + std::chrono::milliseconds{kLimitMs};
    while (!gate.attached() && Now() < end) usleep(1000);
    return gate.attached();
  }

  Options options;
  Gate gate;
  Route route{&gate};
  Link link{&options, &gate, &route};
};

class LinkTest : public testing::Test {
 protected:
  LinkTest() {
    SetQuiet(true);
    EXPECT_NE(mkdtemp(folder_), nullptr);
    listener_.emplace(Socket());
    static std::vector<Agent*> forever;
    agent_ = forever.emplace_back(new Agent(Socket()));
  }
  ~LinkTest() override {
    listener_.reset();
    rmdir(folder_);
  }
  std::string Socket() const { return std::string(folder_) + "/s"; }

  // The agent's next visit, greeted.
  std::optional<first::Connection> Visit(int ms = kLimitMs) {
    auto client = listener_->Accept(ms);
    if (!client) return client;
    const auto hello = client->Next(kLimitMs);
    EXPECT_TRUE(hello && hello->type == first::kHello && hello->Text(2) == "app");
    return client;
  }
  void Welcome(first::Connection& client, bool newer = false) {
    const auto send = [&](first::Packet packet) {
      EXPECT_TRUE(client.Send(newer ? first::Newer(std::move(packet)) : packet));
    };
    send(first::Welcome(1, newer ? ~std::uint64_t{0} : 0));
    send(first::Config());
  }

  char folder_[32] = "/tmp/stagger-link-XXXXXX";
  std::optional<first::Listener> listener_;
  Agent* agent_ = nullptr;
};

TEST_F(LinkTest, AttachesToAnOlderDaemonAndToANewerOne) {
  for (const bool newer : {false, true}) {
    agent_->link.Nudge();
    auto client = Visit();
    ASSERT_TRUE(client);
    Welcome(*client, newer);
    ASSERT_TRUE(agent_->AwaitAttached()) << newer;
    // What is appended to a grant does not matter either.
    std::thread daemon([&] {
      const auto request = client->Await(first::kRequest, kLimitMs);
      ASSERT_TRUE(request);
      const first::Packet grant = first::Grant(request->Number(0, 8));
      EXPECT_TRUE(client->Send(newer ? first::Newer(grant) : grant));
    });
    const Ticket ticket = agent_->gate.Enter(wire::kCpuDevice, Now());
    daemon.join();
    EXPECT_NE(ticket.seq.value, 0U) << "it ran uncontrolled";
    agent_->gate.Leave(ticket, FromMs(1));
    EXPECT_TRUE(client->Await(first::kRelease, kLimitMs));
    client.reset();  // it hangs up
    const TimePoint end = Now() + std::chrono::milliseconds{kLimitMs};
    while (agent_->gate.attached() && Now() < end) usleep(1000);
    ASSERT_FALSE(agent_->gate.attached());
  }
}

TEST_F(LinkTest, ComesAgainWhenItWasToldTo) {
  agent_->link.Nudge();
  auto client = Visit();
  ASSERT_TRUE(client);
  const TimePoint refused = Now();
  ASSERT_TRUE(client->Send(first::Newer(first::RetryAfter(300, "no room"))));
  client.reset();
  agent_->link.Nudge();  // something infers meanwhile: once is enough
  client = Visit();
  ASSERT_TRUE(client);
  EXPECT_GE(Now() - refused, FromMs(300));
  Welcome(*client);
  EXPECT_TRUE(agent_->AwaitAttached());
}

TEST_F(LinkTest, ATimeToComeAgainThatIsAbsurdlyShortIsStretched) {
  agent_->link.Nudge();
  auto client = Visit();
  ASSERT_TRUE(client);
  const TimePoint refused = Now();
  ASSERT_TRUE(client->Send(first::RetryAfter(0, "no room")));
  client.reset();
  agent_->link.Nudge();
  ASSERT_TRUE(Visit());
  EXPECT_GE(Now() - refused, wire::kSoonestRetry);
}

TEST_F(LinkTest, WhatInfersNoMoreDoesNotComeAgain) {
  agent_->link.Nudge();
  auto client = Visit();
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->Send(first::RetryAfter(100, "no room")));
  client.reset();
  EXPECT_FALSE(Visit(500)) << "an idle app costs nothing";
  agent_->link.Nudge();
  EXPECT_TRUE(Visit()) << "it infers again";
}

}  // namespace
}  // namespace stagger::agent
