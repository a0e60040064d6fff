// One session on a socket pair whose other end does not read; time is what the test says.
#include "daemon/clients/session.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/control.h"

namespace stagger::daemon {
namespace {

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = UniqueFd(ends[1]);
    session_ = std::make_unique<Session>(ClientId{1}, UniqueFd(ends[0]),
                                         wire::PeerCredentials{getpid(), geteuid(), getegid()},
                                         Access::kOwner, now_);
  }

  // Sends until the socket has no room for more.
  int Fill() {
    int sent = 0;
    while (!session_->has_pending() && sent < 100'000) {
      EXPECT_TRUE(session_->Send(wire::Config{true, FromMs(++sent)}, now_));
    }
    return sent;
  }

  TimePoint now_{std::chrono::seconds{100}};
  UniqueFd peer_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, MustSayWhoItIsWithinFiveSeconds) {
  EXPECT_EQ(session_->deadline(), now_ + std::chrono::seconds{5});
}

TEST_F(SessionTest, KeepsOnlyTheLatestConfigForOneThatDoesNotRead) {
  Fill();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(session_->Send(wire::Config{false, FromMs(i)}, now_));
  }
  wire::Message message;
  while (wire::Receive(peer_.get(), &message) == wire::Io::kOk) {
  }
  session_->Flush(now_);
  EXPECT_EQ(session_->deadline(), kNever);
  EXPECT_FALSE(session_->has_pending());
  ASSERT_EQ(wire::Receive(peer_.get(), &message), wire::Io::kOk);
  EXPECT_EQ(message, wire::Message(wire::Config{false, FromMs(999)}));
  EXPECT_EQ(wire::Receive(peer_.get(), &message), wire::Io::kWouldBlock);
}

TEST_F(SessionTest, KeepsOnlyTheLatestAssignForOneThatDoesNotRead) {
  Fill();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(session_->Send(wire::Assign{{"/e" + std::to_string(i)}}, now_));
  }
  wire::Message message;
  while (wire::Receive(peer_.get(), &message) == wire::Io::kOk) {
  }
  session_->Flush(now_);
  ASSERT_EQ(wire::Receive(peer_.get(), &message), wire::Io::kOk);
  EXPECT_EQ(message, wire::Message(wire::Assign{{"/e999"}}));
  ASSERT_EQ(wire::Receive(peer_.get(), &message), wire::Io::kOk);
  EXPECT_TRUE(std::holds_alternative<wire::Config>(message)) << "the one that found no room";
  EXPECT_EQ(wire::Receive(peer_.get(), &message), wire::Io::kWouldBlock);
}

TEST_F(SessionTest, IsOverdueFiveSecondsAfterItStoppedReading) {
  EngineHost* no_host = nullptr;
  Control control(
      no_host, nullptr, [](TimePoint) { return nullptr; }, [](auto&&...) { return false; },
      [](auto&&...) {}, [] {});
  session_->OnMessage(wire::Control{wire::kProtocolVersion, "status", ""}, no_host, &control, now_);
  EXPECT_EQ(session_->deadline(), kNever);
  Fill();
  EXPECT_EQ(session_->deadline(), now_ + std::chrono::seconds{5});
}

TEST_F(SessionTest, IsGivenUpWhenAGrantFindsNoRoom) {
  Fill();
  EXPECT_FALSE(session_->Send(wire::Grant{TurnSeq{1}, FromMs(250), {}}, now_));
}

TEST_F(SessionTest, KeepsABoundedNumberOfExpiries) {
  Fill();
  int kept = 0;
  while (kept < 1000 && session_->Send(wire::Expired{TurnSeq{1}}, now_)) ++kept;
  EXPECT_LT(kept, 100);
}

// News that comes faster than anybody reads: of the latest only.
class Newsroom : public Commands {
 public:
  std::optional<Answer> Handle(const std::string&, const std::string&, const Asker&,
                               TimePoint) override {
    return Answer{.ok = true, .stop = false, .body = "{}", .follows = true};
  }
  void Stop() override {}
  std::optional<std::string> News(pid_t, std::uint64_t* told) override {
    if (*told >= latest) return std::nullopt;
    *told = latest;
    ++asked;
    return std::to_string(latest) + std::string(wire::kMaxChunk, '.');
  }
  std::uint64_t latest = 0;
  int asked = 0;
};

TEST_F(SessionTest, TellsOneThatDoesNotReadTheLatestNewsOnceItReads) {
  Newsroom news;
  session_->OnMessage(wire::Control{wire::kProtocolVersion, "follow", ""}, nullptr, &news, now_);
  ASSERT_TRUE(session_->follows());
  while (!session_->has_pending()) {
    ++news.latest;
    ASSERT_TRUE(session_->TellNews(&news, now_));
  }
  const int asked = news.asked;
  for (int i = 0; i < 1000; ++i) {
    ++news.latest;
    ASSERT_TRUE(session_->TellNews(&news, now_));
  }
  EXPECT_EQ(news.asked, asked) << "nothing is kept for it";
  EXPECT_EQ(session_->deadline(), kNever) << "it may have been stopped for a while";
  std::string last;
  wire::Message message;
  while (wire::Receive(peer_.get(), &message) == wire::Io::kOk) {
    session_->Flush(now_);
    ASSERT_TRUE(session_->TellNews(&news, now_));
    const auto& chunk = std::get<wire::ControlReply>(message).chunk;
    if (chunk.size() == wire::kMaxChunk) last = chunk.substr(0, chunk.find('.'));
  }
  EXPECT_EQ(last, std::to_string(news.latest));
  EXPECT_EQ(news.asked, asked + 1);
}

TEST_F(SessionTest, LeavesItToTheReaderToFindItsPeerGone) {
  ASSERT_EQ(wire::Send(peer_.get(), wire::Ungated{3}), wire::Io::kOk);
  peer_.Reset();
  EXPECT_TRUE(session_->Send(wire::Grant{}, now_));
  EXPECT_FALSE(session_->has_pending());
  wire::Message message;
  EXPECT_EQ(wire::Receive(session_->fd(), &message), wire::Io::kOk);
  EXPECT_EQ(wire::Receive(session_->fd(), &message), wire::Io::kClosed);
}

}  // namespace
}  // namespace stagger::daemon
