// Which clients get in, which are dropped, and that the others never notice.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;

TEST(Protocol, WelcomesAStreamAndTellsItHowToBehave) {
  const DaemonProcess daemon;
  WireClient client(daemon.socket());
  wire::Hello hello;
  hello.spec.name = "gate";
  hello.spec.required_fps = 12.5;
  client.Send(hello);
  const auto welcome = client.Await<wire::Welcome>();
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->version, wire::kProtocolVersion);
  const auto config = client.Await<wire::Config>();
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->gating);
  EXPECT_GT(config->wait_bound, Duration{0});
  const json stream = daemon.Status()["streams"][0];
  EXPECT_EQ(stream["name"], "gate");
  EXPECT_EQ(stream["pid"], getpid());
  EXPECT_EQ(stream["fps_required"], 12.5);
  EXPECT_EQ(stream["deadline_ms"], 80.0);
}

TEST(Protocol, MakesNamesUniqueAndTakesTheProcessNameForNone) {
  const DaemonProcess daemon;
  const WireClient a(daemon.socket(), "gate");
  const WireClient b(daemon.socket(), "gate");
  const WireClient c(daemon.socket(), "gate");
  WireClient nameless(daemon.socket());
  nameless.Send(wire::Hello{});
  ASSERT_TRUE(nameless.Await<wire::Welcome>());
  const json streams = daemon.Status()["streams"];
  EXPECT_EQ(streams[0]["name"], "gate");
  EXPECT_EQ(streams[1]["name"], "gate-2");
  EXPECT_EQ(streams[2]["name"], "gate-3");
  EXPECT_EQ(streams[3]["name"], "daemon_tests");
}

// The wire refuses such a name; but a process may call itself what it likes.
TEST(Protocol, AProcessNameCannotForgeALogLine) {
  const DaemonProcess daemon;
  char before[16] = {};
  prctl(PR_GET_NAME, before);
  prctl(PR_SET_NAME, "a\nforged");
  WireClient client(daemon.socket());
  client.Send(wire::Hello{});
  EXPECT_TRUE(client.Await<wire::Welcome>());
  EXPECT_EQ(daemon.Status()["streams"][0]["name"], "a_forged");
  prctl(PR_SET_NAME, before);
  EXPECT_EQ(daemon.Log().find("\nforged"), std::string::npos);
}

TEST(Protocol, RefusesAnotherVersionNamingBoth) {
  const DaemonProcess daemon;
  WireClient client(daemon.socket());
  wire::Hello hello;
  hello.version = wire::kProtocolVersion + 1;
  client.Send(hello);
  client.Send(wire::Ungated{3});  // unread when refused: the refusal must arrive all the same
  const auto refused = client.Await<wire::Refused>();
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->reason.find("protocol " + std::to_string(wire::kProtocolVersion)),
            std::string::npos);
  EXPECT_NE(refused->reason.find("speaks " + std::to_string(wire::kProtocolVersion + 1)),
            std::string::npos);
  EXPECT_TRUE(client.WaitClosed());
}

TEST(Protocol, DropsOnlyTheClientThatSendsNonsense) {
  const DaemonProcess daemon({"--concurrency", "1"});
  WireClient good(daemon.socket(), "good");
  WireClient bad(daemon.socket(), "bad");
  bad.Request(1);
  ASSERT_TRUE(bad.Await<wire::Grant>());
  good.Request(1);
  const char nonsense[] = "\xff\xffnonsense";
  ASSERT_GT(send(bad.fd(), nonsense, sizeof nonsense, MSG_NOSIGNAL), 0);
  EXPECT_TRUE(bad.WaitClosed());
  EXPECT_TRUE(good.Await<wire::Grant>());
  EXPECT_NE(daemon.LogWith("dropped stream 'bad'").find("dropped stream 'bad'"), std::string::npos);
}

TEST(Protocol, DropsAClientThatStartsInTheMiddle) {
  const DaemonProcess daemon;
  WireClient client(daemon.socket());
  client.Request(1);
  EXPECT_TRUE(client.WaitClosed());
  WireClient twice(daemon.socket(), "twice");
  twice.Send(wire::Hello{});
  EXPECT_TRUE(twice.WaitClosed());
}

TEST(Protocol, DropsAClientThatNeverReadsAndServesTheOthers) {
  const DaemonProcess daemon;
  WireClient deaf(daemon.socket(), "deaf");
  WireClient good(daemon.socket(), "good");
  // Every turn brings a grant that it does not read, until there is no room for more.
  const auto end = std::chrono::steady_clock::now() + kLimit;
  // A turn that is not given back would be the last. So what the daemon has no room for is sent
  // again.
  const auto sends = [&](const wire::Message& message) {
    wire::Io io = wire::Io::kWouldBlock;
    while (io == wire::Io::kWouldBlock && std::chrono::steady_clock::now() < end) {
      io = wire::Send(deaf.fd(), message);
    }
    return io == wire::Io::kOk;
  };
  std::uint64_t seq = 1;
  while (sends(wire::Request{TurnSeq{seq}, wire::kCpuDevice, {}, true}) &&
         sends(wire::Release{TurnSeq{seq}, {}, {}, {}})) {
    ++seq;
  }
  ASSERT_LT(std::chrono::steady_clock::now(), end);
  good.Request(1);
  EXPECT_TRUE(good.Await<wire::Grant>());
  const json status = daemon.Status();
  EXPECT_EQ(status["streams"].size(), 1U);
  EXPECT_EQ(status["totals"]["clients_dropped"], 1);
}

TEST(Protocol, ClosesAConnectionThatSaysNothing) {
  const DaemonProcess daemon;
  WireClient silent(daemon.socket());
  EXPECT_TRUE(silent.WaitClosed());  // after five seconds
}

// The text of a status is made beside the loop, which could answer the second command at once.
TEST(Protocol, AnswersCommandsInTheirOrderAndForgetsThoseThatLeave) {
  const DaemonProcess daemon;
  for (int i = 0; i < 20; ++i) {
    WireClient gone(daemon.socket());
    gone.Send(wire::Control{wire::kProtocolVersion, "status", ""});
    gone.Close();
  }
  WireClient client(daemon.socket());
  for (const char* verb : {"status", "policy", "why", "policy"}) {
    client.Send(wire::Control{wire::kProtocolVersion, verb, ""});
  }
  std::vector<std::string> answers;
  while (answers.size() < 4) {
    const auto reply = client.Await<wire::ControlReply>();
    ASSERT_TRUE(reply && !reply->more);
    answers.push_back(reply->chunk);
  }
  EXPECT_TRUE(json::parse(answers[0]).contains("streams")) << answers[0];
  EXPECT_EQ(json::parse(answers[1])["name"], "fifo") << answers[1];
  EXPECT_NE(answers[2].find("the argument is not"), std::string::npos) << answers[2];
  EXPECT_EQ(answers[3], answers[1]);
}

TEST(Protocol, TakesCommands) {
  const DaemonProcess daemon;
  wire::ControlReply reply =
      Command(daemon.socket(), "policy", R"({"name":"fifo","concurrency":3})");
  ASSERT_TRUE(reply.ok) << reply.chunk;
  EXPECT_EQ(json::parse(reply.chunk)["name"], "fifo");
  EXPECT_EQ(json::parse(reply.chunk)["devices"][0]["concurrency"], 3);
  EXPECT_EQ(daemon.Status()["policy"]["concurrency"], 3);

  reply = Command(daemon.socket(), "policy", R"({"name":"edf","concurrency":"auto"})");
  ASSERT_TRUE(reply.ok) << reply.chunk;
  EXPECT_EQ(json::parse(reply.chunk)["concurrency"], "auto");
  reply = Command(daemon.socket(), "policy", R"({"demand_limit":1.2})");
  EXPECT_FALSE(reply.ok);  // auto is still in force
  EXPECT_NE(reply.chunk.find("only one of them"), std::string::npos) << reply.chunk;
  reply = Command(daemon.socket(), "policy", R"({"name":"edf","demand_limit":1.2})");
  ASSERT_TRUE(reply.ok) << reply.chunk;
  EXPECT_EQ(json::parse(reply.chunk)["demand_limit"], 1.2);
  reply = Command(daemon.socket(), "policy", R"({"name":"fifo"})");
  ASSERT_TRUE(reply.ok) << reply.chunk;
  EXPECT_EQ(json::parse(reply.chunk)["concurrency"], 0);
  EXPECT_EQ(json::parse(reply.chunk)["demand_limit"], nullptr);

  reply = Command(daemon.socket(), "policy", R"({"name":"nonesuch"})");
  EXPECT_FALSE(reply.ok);
  EXPECT_NE(reply.chunk.find("fifo"), std::string::npos) << reply.chunk;
  EXPECT_EQ(reply.chunk.find('\n'), std::string::npos);
  for (const char* body : {"{", "[]", R"({"name":7})", R"({"concurrency":-1})", R"({"nonesuch":1})",
                           R"({"concurrency":1e300})", R"({"concurrency":"many"})",
                           R"({"demand_limit":0.5})", R"({"demand_limit":"1"})"}) {
    reply = Command(daemon.socket(), "policy", body);
    EXPECT_FALSE(reply.ok) << body;
  }
  reply = Command(daemon.socket(), "dance");
  EXPECT_FALSE(reply.ok);
  EXPECT_EQ(daemon.Status()["policy"]["name"], "fifo");
}

TEST(Protocol, AnswersAreWholeHoweverLong) {
  const DaemonProcess daemon;
  std::vector<WireClient> clients;
  for (int i = 0; i < 300; ++i) clients.emplace_back(daemon.socket(), "stream");
  EXPECT_EQ(daemon.Status()["streams"].size(), 300U);
}

}  // namespace
}  // namespace stagger::daemon_test
