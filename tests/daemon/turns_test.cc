// Turns as clients see them, through the real daemon.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;

TEST(Turns, AreGrantedAtOnceWhenNobodyWaits) {
  const DaemonProcess daemon;
  WireClient client(daemon.socket(), "gate");
  client.Request(1);
  const auto grant = client.Await<wire::Grant>();
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->seq, TurnSeq{1});
  EXPECT_GE(grant->lease, FromMs(250));
  EXPECT_FALSE(grant->cores.empty());
}

TEST(Turns, ComeInTheOrderOfArrival) {
  const DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "60000"});
  WireClient first(daemon.socket(), "first");
  WireClient second(daemon.socket(), "second");
  WireClient third(daemon.socket(), "third");
  first.Request(1);
  ASSERT_TRUE(first.Await<wire::Grant>());
  // The status round trip orders the requests of different connections.
  second.Request(1);
  daemon.AwaitStatus([](const json& s) { return s["devices"][0]["waiting"].size() == 1; });
  third.Request(1);
  daemon.AwaitStatus([](const json& s) { return s["devices"][0]["waiting"].size() == 2; });
  EXPECT_TRUE(second.NothingYet());
  first.Release(1);
  ASSERT_TRUE(second.Await<wire::Grant>());
  EXPECT_TRUE(third.NothingYet());
  second.Release(1);
  EXPECT_TRUE(third.Await<wire::Grant>());
}

TEST(Turns, OfADeadClientAreFreeAtOnce) {
  const DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "60000"});
  WireClient holder(daemon.socket(), "holder");
  WireClient next(daemon.socket(), "next");
  holder.Request(1);
  ASSERT_TRUE(holder.Await<wire::Grant>());
  next.Request(1);
  holder.Close();
  EXPECT_TRUE(next.Await<wire::Grant>());
}

TEST(Turns, CountEvenIfTheClientLeavesRightAfter) {
  const DaemonProcess daemon;
  WireClient client(daemon.socket(), "gate");
  client.Request(1);
  ASSERT_TRUE(client.Await<wire::Grant>());
  // A message it leaves unread: its end then looks like a reset connection.
  ASSERT_TRUE(Command(daemon.socket(), "policy", R"({"name":"off"})").ok);
  client.Release(1);
  client.Send(wire::Ungated{2});
  client.Close();
  const json status = daemon.AwaitStatus([](const json& s) { return s["streams"].empty(); });
  EXPECT_EQ(status["totals"]["done"], 1);
  EXPECT_EQ(status["totals"]["warmup"], 2);
  EXPECT_EQ(status["totals"]["clients_dropped"], 0);
}

TEST(Turns, AreFreeOnceTheProcessIsDeadEvenIfAChildKeepsItsSocket) {
  const DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "60000"});
  int go[2] = {-1, -1};
  int done[2] = {-1, -1};
  ASSERT_EQ(pipe(go), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t holder = fork();
  if (holder == 0) {
    WireClient client(daemon.socket(), "holder");
    client.Request(1);
    const bool granted = client.Await<wire::Grant>().has_value();
    if (fork() == 0) {  // inherits the socket, and lives until the test is over
      close(go[1]);
      char c = 0;
      _exit(static_cast<int>(read(go[0], &c, 1)));
    }
    const char c = granted ? 'y' : 'n';
    _exit(write(done[1], &c, 1) == 1 ? 0 : 1);
  }
  char granted = 0;
  ASSERT_EQ(read(done[0], &granted, 1), 1);
  ASSERT_EQ(granted, 'y');
  WireClient next(daemon.socket(), "next");
  next.Request(1);
  waitpid(holder, nullptr, 0);
  EXPECT_TRUE(next.Await<wire::Grant>());
  close(go[1]);
  for (const int fd : {go[0], done[0], done[1]}) close(fd);
}

TEST(Turns, AreTakenBackWhenTheLeaseEnds) {
  const DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "30"});
  WireClient hung(daemon.socket(), "hung");
  WireClient next(daemon.socket(), "next");
  hung.Request(1);
  ASSERT_TRUE(hung.Await<wire::Grant>());
  next.Request(1);
  ASSERT_TRUE(next.Await<wire::Grant>());
  const auto expired = hung.Await<wire::Expired>();
  ASSERT_TRUE(expired);
  EXPECT_EQ(expired->seq, TurnSeq{1});
  EXPECT_EQ(daemon.Status()["streams"][0]["expired"], 1);
  constexpr const char* kSaid = "'hung' kept its turn 1 longer than its lease";
  EXPECT_NE(daemon.LogWith(kSaid).find(kSaid), std::string::npos);
}

TEST(Turns, ThatWaitStartWhenThePolicyIsTurnedOff) {
  const DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "60000"});
  WireClient holder(daemon.socket(), "holder");
  WireClient waiter(daemon.socket(), "waiter");
  holder.Request(1);
  ASSERT_TRUE(holder.Await<wire::Grant>());
  waiter.Request(1);
  daemon.AwaitStatus([](const json& s) { return !s["devices"][0]["waiting"].empty(); });
  const wire::ControlReply reply = Command(daemon.socket(), "policy", R"({"name":"off"})");
  ASSERT_TRUE(reply.ok) << reply.chunk;
  EXPECT_EQ(json::parse(reply.chunk)["name"], "off");
  bool gating = true;
  bool granted = false;
  while (gating || !granted) {
    const auto message = waiter.Next();
    ASSERT_TRUE(message);
    if (const auto* config = std::get_if<wire::Config>(&*message)) gating = config->gating;
    granted = granted || std::holds_alternative<wire::Grant>(*message);
  }
}

TEST(Turns, AreClaimedAfterARestart) {
  DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "60000"});
  WireClient before(daemon.socket(), "gate");
  before.Request(7);
  ASSERT_TRUE(before.Await<wire::Grant>());
  daemon.Stop(SIGKILL);
  EXPECT_TRUE(before.WaitClosed());
  daemon.Start();
  WireClient after(daemon.socket(), "gate");
  after.Send(wire::Claim{TurnSeq{7}, wire::kCpuDevice, FromMs(20)});
  daemon.AwaitStatus([](const json& s) { return !s["devices"][0]["running"].empty(); });
  WireClient next(daemon.socket(), "next");
  next.Request(1);
  daemon.AwaitStatus([](const json& s) { return !s["devices"][0]["waiting"].empty(); });
  EXPECT_TRUE(next.NothingYet());
  after.Release(7);
  EXPECT_TRUE(next.Await<wire::Grant>());
  EXPECT_EQ(daemon.Status()["streams"][0]["claimed"], 1);
}

TEST(Why, NamesTheStreamWhoseBodyItWaitedFor) {
  const DaemonProcess daemon({"--concurrency", "1", "--lease-floor", "60000"});
  WireClient first(daemon.socket(), "first");
  WireClient second(daemon.socket(), "gate-1");
  const WireClient third(daemon.socket(), "gate-2");
  first.Request(1);
  ASSERT_TRUE(first.Await<wire::Grant>());
  second.Request(1);
  daemon.AwaitStatus([](const json& s) { return !s["devices"][0]["waiting"].empty(); });
  const auto why = [&](const std::string& name) {
    return Command(daemon.socket(), "why", json{{"name", name}}.dump());
  };
  EXPECT_EQ(json::parse(why("gate-1").chunk)["streams"][0]["stream"]["state"], "waiting");
  first.Release(1);
  ASSERT_TRUE(second.Await<wire::Grant>());
  const json of_both = json::parse(why("gate").chunk);
  ASSERT_EQ(of_both["streams"].size(), 2u) << "an app's copies";
  const json& waits = of_both["streams"][0]["waits"];
  EXPECT_EQ(waits["behind"][0]["stream"], "first");
  EXPECT_GT(waits["behind"][0]["time_ms"], 0.0);
  EXPECT_EQ(waits["recent"][0]["reason"], "another body ended");
  EXPECT_EQ(of_both["streams"][1]["waits"]["count"], 0);
  // A stream that has left is still named.
  first.Close();
  daemon.AwaitStatus([](const json& s) { return s["streams"].size() == 2; });
  EXPECT_EQ(json::parse(why("gate-1").chunk)["streams"][0]["waits"]["behind"][0]["stream"],
            "first");
  const auto unknown = why("hall");
  EXPECT_FALSE(unknown.ok);
  EXPECT_EQ(unknown.chunk, "no stream is called 'hall'; there are gate-1, gate-2");
  EXPECT_FALSE(Command(daemon.socket(), "why").ok);
}

}  // namespace
}  // namespace stagger::daemon_test
