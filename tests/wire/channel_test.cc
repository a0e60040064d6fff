#include "wire/channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "wire/codec.h"
#include "wire/listener.h"
#include "wire/samples.h"
#include "wire/temp_folder.h"

namespace stagger::wire {
namespace {

using testing::HasSubstr;

struct Pair {
  UniqueFd a;
  UniqueFd b;
  Pair() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    a.Reset(fds[0]);
    b.Reset(fds[1]);
  }
  void SendRaw(const std::vector<std::byte>& bytes) const {
    ASSERT_EQ(send(a.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  }
  Message received = Cancel{{99}};
  Io Receive() { return wire::Receive(b.get(), &received); }
};

TEST(Channel, CarriesEveryMessageInOrder) {
  Pair pair;
  for (const auto& sample : Samples()) ASSERT_EQ(Send(pair.a.get(), sample.message), Io::kOk);
  for (const auto& sample : Samples()) {
    ASSERT_EQ(pair.Receive(), Io::kOk);
    EXPECT_EQ(pair.received, sample.message);
  }
  EXPECT_EQ(pair.Receive(), Io::kWouldBlock);
}

TEST(Channel, CarriesTheLargestMessage) {
  Pair pair;
  const Message largest =
      Control{kProtocolVersion, std::string(kMaxText, 'v'), std::string(kMaxChunk, 'b')};
  ASSERT_EQ(Send(pair.a.get(), largest), Io::kOk);
  ASSERT_EQ(pair.Receive(), Io::kOk);
  EXPECT_EQ(pair.received, largest);
}

TEST(Channel, NeverBlocks) {
  Pair pair;  // blocking sockets: it is the call that must not wait
  EXPECT_EQ(pair.Receive(), Io::kWouldBlock);
  Io last = Io::kOk;
  int sent = 0;
  while (last == Io::kOk && sent < 1'000'000) {
    last = Send(pair.a.get(), Cancel{{1}});
    ++sent;
  }
  EXPECT_EQ(last, Io::kWouldBlock);
  ASSERT_EQ(pair.Receive(), Io::kOk);
  while (pair.Receive() == Io::kOk) {
  }
  EXPECT_EQ(Send(pair.a.get(), Cancel{{1}}), Io::kOk) << "room again after reading";
}

TEST(Channel, SendsNothingThatExceedsABound) {
  Pair pair;
  EXPECT_EQ(Send(pair.a.get(), Grant{{1}, Duration{-1}, {}}), Io::kMalformed);
  EXPECT_EQ(Send(pair.a.get(), Control{1, "", std::string(kMaxChunk + 1, ' ')}), Io::kMalformed);
  EXPECT_EQ(pair.Receive(), Io::kWouldBlock);
}

TEST(Channel, TellsThatThePeerIsGoneWithoutASignal) {
  Pair pair;
  pair.a.Reset();
  EXPECT_EQ(pair.Receive(), Io::kClosed);
  EXPECT_EQ(Send(pair.b.get(), Cancel{{1}}), Io::kClosed);
  EXPECT_EQ(Send(-1, Cancel{{1}}), Io::kClosed);
}

TEST(Channel, ReadsTheLastWordsOfAPeerThatClosed) {
  Pair pair;
  ASSERT_EQ(Send(pair.a.get(), Refused{"too many"}), Io::kOk);
  pair.a.Reset();
  ASSERT_EQ(pair.Receive(), Io::kOk);
  EXPECT_EQ(pair.received, Message(Refused{"too many"}));
  EXPECT_EQ(pair.Receive(), Io::kClosed);
}

TEST(Channel, ReadsTheLastWordsOfAPeerThatClosedWithMailUnread) {
  Pair pair;
  ASSERT_EQ(Send(pair.b.get(), Hello{1}), Io::kOk);  // never read: a reset
  ASSERT_EQ(Send(pair.a.get(), Refused{"too many"}), Io::kOk);
  pair.a.Reset();
  ASSERT_EQ(pair.Receive(), Io::kOk);
  EXPECT_EQ(pair.received, Message(Refused{"too many"}));
  EXPECT_EQ(pair.Receive(), Io::kClosed);
}

TEST(Channel, MalformedPacketsChangeNothing) {
  Pair pair;
  pair.SendRaw(FromHex("00"));
  EXPECT_EQ(pair.Receive(), Io::kMalformed);
  EXPECT_EQ(pair.received, Message(Cancel{{99}}));
}

TEST(Channel, OversizedPacketsAreMalformed) {
  Pair pair;
  std::vector<std::byte> packet;
  ASSERT_TRUE(Encode(Cancel{{1}}, &packet));
  packet.resize(kMaxPacket + 1);  // cut to kMaxPacket it would not decode either; the next is worse
  pair.SendRaw(packet);
  EXPECT_EQ(pair.Receive(), Io::kMalformed);

  ASSERT_EQ(Send(pair.a.get(), Control{1, "", std::string(kMaxShortPacket, ' ')}), Io::kOk);
  EXPECT_EQ(ReceiveShort(pair.b.get(), &pair.received), Io::kMalformed);
  ASSERT_EQ(Send(pair.a.get(), Refused{std::string(kMaxText, 'r')}), Io::kOk);
  EXPECT_EQ(ReceiveShort(pair.b.get(), &pair.received), Io::kOk);
}

TEST(Channel, AnEmptyPacketEndsTheTalk) {
  Pair pair;
  pair.SendRaw({});
  EXPECT_EQ(pair.Receive(), Io::kClosed);
}

TEST(Channel, DescriptorsAreRefusedAndClosed) {
  Pair pair;
  int pipe_fds[2] = {-1, -1};
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);

  std::vector<std::byte> packet;
  ASSERT_TRUE(Encode(Cancel{{1}}, &packet));
  iovec part{.iov_base = packet.data(), .iov_len = packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = write_end.get();
  std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  ASSERT_GT(sendmsg(pair.a.get(), &header, MSG_NOSIGNAL), 0);

  EXPECT_EQ(pair.Receive(), Io::kMalformed);
  write_end.Reset();
  char byte = 0;
  EXPECT_EQ(read(read_end.get(), &byte, 1), 0) << "a copy of the write end is still open";
}

TEST(Channel, AGreetingOfAnotherVersionCanBeRefused) {
  Pair pair;
  pair.SendRaw(FromHex("010000000600000001000abbccdd"));
  ASSERT_EQ(pair.Receive(), Io::kOk);
  EXPECT_EQ(std::get<Hello>(pair.received).version, 1);
}

TEST(Channel, KnowsItsPeer) {
  const Pair pair;
  const auto peer = PeerOf(pair.a.get());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(peer->uid, geteuid());
  EXPECT_EQ(peer->gid, getegid());
  EXPECT_FALSE(PeerOf(-1));
}

TEST(Channel, DefaultPath) {
  const ScopedEnv no_uid("STAGGER_SERVER_UID", nullptr);
  {
    const ScopedEnv socket("STAGGER_SOCKET", "/a/b.sock");
    const ScopedEnv runtime("XDG_RUNTIME_DIR", "/run/user/1");
    EXPECT_EQ(DefaultSocketPath(), "/a/b.sock");
  }
  const ScopedEnv socket("STAGGER_SOCKET", "");
  {
    const ScopedEnv runtime("XDG_RUNTIME_DIR", "/run/user/1");
    EXPECT_EQ(DefaultSocketPath(), "/run/user/1/stagger/daemon.sock");
  }
  const std::string in_tmp = "/tmp/stagger-" + std::to_string(geteuid()) + "/daemon.sock";
  for (const char* dir : {static_cast<const char*>(nullptr), "", "relative"}) {
    const ScopedEnv runtime("XDG_RUNTIME_DIR", dir);
    EXPECT_EQ(DefaultSocketPath(), in_tmp);
  }
}

TEST(Connect, SaysThatNobodyListens) {
  const TempFolder temp;
  const auto missing = Connect(temp / "d.sock");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("no daemon listens at " + temp / "d.sock"));
  { const auto gone = Listen(temp / "d.sock", ""); }
  const auto stale = Connect(temp / "d.sock");
  ASSERT_FALSE(stale);
  EXPECT_THAT(stale.error().message, HasSubstr("no daemon listens at"));
}

TEST(Connect, SaysThatAPathIsTooLong) {
  const std::string path = "/tmp/" + std::string(kMaxSocketPath - 4, 'x');
  const auto fd = Connect(path);
  ASSERT_FALSE(fd);
  EXPECT_THAT(fd.error().message, HasSubstr(path));
  EXPECT_THAT(fd.error().message, HasSubstr("108 bytes"));
  EXPECT_THAT(fd.error().message, HasSubstr("107"));
  EXPECT_THAT(fd.error().message, HasSubstr("STAGGER_SOCKET"));
  EXPECT_FALSE(Connect(""));
  EXPECT_FALSE(Connect(std::string("/tmp/a\0b", 8)));
}

TEST(Connect, SocketIsNonBlockingAndCloseOnExec) {
  const TempFolder temp;
  const auto listener = Listen(temp / "d.sock", "");
  ASSERT_TRUE(listener) << listener.error().message;
  const auto fd = Connect(temp / "d.sock");
  ASSERT_TRUE(fd) << fd.error().message;
  EXPECT_NE(fcntl(fd->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Connect, NeverBlocksOnAFullBacklog) {
  const TempFolder temp;
  const auto listener = Listen(temp / "d.sock", "");
  ASSERT_TRUE(listener);
  ASSERT_EQ(listen(listener->socket.get(), 1), 0);  // shrink the backlog
  std::vector<UniqueFd> held;
  for (int i = 0; i < 8; ++i) {
    auto fd = Connect(temp / "d.sock");
    if (fd) {
      held.push_back(std::move(*fd));
      continue;
    }
    EXPECT_THAT(fd.error().message, HasSubstr("does not take connections"));
    return;
  }
  FAIL() << "the backlog never filled";
}

// A server of another user: only root can play both parts.
TEST(Connect, RefusesAForeignServerUnlessTold) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kOther = 65534;
  const TempFolder temp;
  const std::string path = temp / "d.sock";
  auto listener = Listen(path, "");
  ASSERT_TRUE(listener);
  // The credentials that clients see are those at the time of listen().
  ASSERT_EQ(seteuid(kOther), 0);
  EXPECT_EQ(listen(listener->socket.get(), 8), 0);
  ASSERT_EQ(seteuid(0), 0);
  {
    const ScopedEnv unset("STAGGER_SERVER_UID", nullptr);
    const auto fd = Connect(path);
    ASSERT_FALSE(fd);
    EXPECT_THAT(fd.error().message, HasSubstr("user 65534"));
    EXPECT_THAT(fd.error().message, HasSubstr("STAGGER_SERVER_UID=65534"));
  }
  for (const char* good : {"any", "65534"}) {
    const ScopedEnv set("STAGGER_SERVER_UID", good);
    EXPECT_TRUE(Connect(path)) << good;
  }
  for (const char* bad : {"1000", "-1", "65534x", "nobody", "99999999999"}) {
    const ScopedEnv set("STAGGER_SERVER_UID", bad);
    EXPECT_FALSE(Connect(path)) << bad;
  }
}

}  // namespace
}  // namespace stagger::wire
