// Today's daemon beside older and newer clients: bytes of protocol 6 as it first was, and the same
// with what a newer client appends.
#include <gtest/gtest.h>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"
#include "wire/first_protocol/protocol.h"
#include "wire/timers.h"

namespace stagger::daemon_test {
namespace {

namespace first = first_protocol;

constexpr int kLimitMs = static_cast<int>(std::chrono::milliseconds(kLimit).count());

TEST(FirstProtocol, AnOlderClientIsWelcomedAndTakesTurns) {
  const DaemonProcess daemon;
  auto client = first::Connection::To(daemon.socket());
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->Send(first::Hello("older")));
  const auto welcome = client->Await(first::kWelcome, kLimitMs);
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->Number(0, 2), first::kVersion);
  const auto config = client->Await(first::kConfig, kLimitMs);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->Number(0, 1), 1U) << "gating";
  EXPECT_GT(config->Number(1, 8), 0U) << "its longest wait";
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    ASSERT_TRUE(client->Send(first::Request(seq)));
    const auto grant = client->Await(first::kGrant, kLimitMs);
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant->Number(0, 8), seq);
    ASSERT_TRUE(client->Send(first::Release(seq)));
  }
  const nlohmann::json stream = daemon.Status()["streams"][0];
  EXPECT_EQ(stream["name"], "older");
  EXPECT_EQ(stream["done"], 3);
}

TEST(FirstProtocol, WhatANewerClientAppendsIsSkippedAndSaidOnce) {
  const DaemonProcess daemon;
  auto client = first::Connection::To(daemon.socket());
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->Send(first::Newer(first::Hello("newer"))));
  ASSERT_TRUE(client->Await(first::kWelcome, kLimitMs));
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    ASSERT_TRUE(client->Send(first::Newer(first::Request(seq))));
    const auto grant = client->Await(first::kGrant, kLimitMs);
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant->Number(0, 8), seq);
    ASSERT_TRUE(client->Send(first::Newer(first::Release(seq))));
  }
  EXPECT_EQ(daemon.Status()["streams"][0]["done"], 3);
  const std::string log = daemon.LogWith("is newer than this daemon");
  const std::size_t said = log.find("stream 'newer' (pid ");
  ASSERT_NE(said, std::string::npos) << log;
  EXPECT_NE(log.find("is newer than this daemon"), std::string::npos) << log;
  EXPECT_EQ(log.find("is newer than this daemon"), log.rfind("is newer than this daemon")) << log;
}

TEST(FirstProtocol, OnlyFeaturesThatBothHaveAreAgreed) {
  const DaemonProcess daemon;
  for (const std::uint64_t features : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    auto client = first::Connection::To(daemon.socket());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->Send(first::Hello("any", features)));
    const auto welcome = client->Await(first::kWelcome, kLimitMs);
    ASSERT_TRUE(welcome);
    ASSERT_GE(welcome->fields.size(), 19U);
    ASSERT_EQ(welcome->Number(10, 1), 0U) << "GPUs, on this machine";
    EXPECT_EQ(welcome->Number(11, 8), features & wire::kFeatures);
  }
}

// The 1 025th client.
TEST(FirstProtocol, OneTooManyIsToldWhenToComeAgainAndThenFindsRoom) {
  const DaemonProcess daemon;
  std::vector<first::Connection> clients;
  for (int i = 0; i < 1024; ++i) {
    auto client = first::Connection::To(daemon.socket());
    ASSERT_TRUE(client) << i;
    ASSERT_TRUE(client->Send(first::Hello("one"))) << i;
    ASSERT_TRUE(client->Await(first::kWelcome, kLimitMs)) << i;
    clients.push_back(std::move(*client));
  }
  auto last = first::Connection::To(daemon.socket());
  ASSERT_TRUE(last);
  last->Send(first::Hello("last"));
  const auto later = last->Next(kLimitMs);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->type, first::kRetryAfter);
  EXPECT_EQ(later->Number(0, 8), static_cast<std::uint64_t>(wire::kNoRoomRetry.count()));
  EXPECT_EQ(later->Text(8), "this daemon already has 1024 clients");
  EXPECT_FALSE(last->Next(kLimitMs)) << "it hangs up";
  // A command line is told the same.
  const auto asks = [&] {
    WireClient control(daemon.socket());
    wire::Send(control.fd(), wire::Control{wire::kProtocolVersion, "policy", ""});
    return control.Next();
  };
  const auto told = asks();
  ASSERT_TRUE(told);
  EXPECT_TRUE(std::holds_alternative<wire::RetryAfter>(*told));

  clients.pop_back();
  const auto end = std::chrono::steady_clock::now() + kLimit;
  std::optional<first::Heard> welcome;
  while (!welcome && std::chrono::steady_clock::now() < end) {
    auto again = first::Connection::To(daemon.socket());
    ASSERT_TRUE(again);
    again->Send(first::Hello("last"));
    welcome = again->Next(kLimitMs);
    if (welcome && welcome->type != first::kWelcome) welcome.reset();
  }
  EXPECT_TRUE(welcome) << "another has left";
}

}  // namespace
}  // namespace stagger::daemon_test
