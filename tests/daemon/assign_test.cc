// Assigning executors, as agents and command lines see it, through the real daemon.
#include <gtest/gtest.h>
#include <signal.h>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;
using Paths = std::vector<std::string>;

wire::ControlReply Assign(const DaemonProcess& daemon, const json& arguments) {
  return Command(daemon.socket(), "assign", arguments.dump());
}

// The stream's status, once it says what it is to say.
json AwaitStream(const DaemonProcess& daemon, const std::string& name,
                 const std::function<bool(const json&)>& good) {
  json seen;
  daemon.AwaitStatus([&](const json& status) {
    for (const json& stream : status["streams"]) {
      if (stream["name"] == name) seen = stream;
    }
    return !seen.is_null() && good(seen);
  });
  return seen;
}

TEST(Assign, ReachesWhoIsThereAndWhoJoinsLater) {
  const DaemonProcess daemon;
  WireClient client(daemon.socket(), "gate");
  WireClient other(daemon.socket(), "other");
  ASSERT_TRUE(Assign(daemon, {{"name", "gate"}, {"executors", {"/e0", "/e1", "/e0"}}}).ok);
  EXPECT_EQ(client.Await<wire::Assign>(), (wire::Assign{{"/e0", "/e1"}}));
  EXPECT_TRUE(other.NothingYet());
  client.Close();
  // Started again: told before the greeting ends.
  WireClient again(daemon.socket());
  again.Send(wire::Hello{.spec = {.name = "gate"}});
  EXPECT_TRUE(again.Await<wire::Welcome>());
  auto next = again.Next();
  ASSERT_TRUE(next);
  EXPECT_EQ(*next, wire::Message(wire::Assign{{"/e0", "/e1"}}));
  EXPECT_TRUE(again.Await<wire::Config>());
  // A second process of that name, which the daemon calls gate-2.
  WireClient second(daemon.socket());
  second.Send(wire::Hello{.spec = {.name = "gate"}});
  EXPECT_TRUE(second.Await<wire::Assign>());
  ASSERT_TRUE(Assign(daemon, {{"name", "gate"}, {"executors", json::array()}}).ok);
  EXPECT_EQ(again.Await<wire::Assign>(), wire::Assign{});
  EXPECT_EQ(second.Await<wire::Assign>(), wire::Assign{});
  ASSERT_TRUE(Assign(daemon, {{"name", "gate"}, {"executors", nullptr}}).ok);
  EXPECT_EQ(json::parse(Command(daemon.socket(), "assign").chunk)["assignments"], json::array());
}

TEST(Assign, KnowsExecutorsByName) {
  const DaemonProcess daemon;
  WireClient executor(daemon.socket(), "executor-cpu:0");
  executor.Send(wire::Serves{"/run/e0"});
  AwaitStream(daemon, "executor-cpu:0", [](const json& s) { return s["serves"] == "/run/e0"; });
  WireClient client(daemon.socket(), "gate");
  const auto answer =
      Assign(daemon, {{"name", "gate"}, {"executors", {"executor-cpu:0"}}, {"reason", "the plan"}});
  ASSERT_TRUE(answer.ok) << answer.chunk;
  EXPECT_EQ(client.Await<wire::Assign>(), (wire::Assign{{"/run/e0"}}));
  client.Send(wire::Uses{{"/run/e0", "/run/elsewhere"}});
  const json stream =
      AwaitStream(daemon, "gate", [](const json& s) { return s["forwards"] == true; });
  EXPECT_EQ(stream["on"], json({"executor-cpu:0", "/run/elsewhere"}));
  EXPECT_EQ(stream["assigned_to"], json({"executor-cpu:0"}));
  EXPECT_EQ(stream["assigned_why"], "the plan");
  executor.Close();
  AwaitStream(daemon, "gate", [](const json& s) { return s["on"][0] == "/run/e0"; });
}

TEST(Assign, ForwardedInferencesCountAndTakeNoTurn) {
  const DaemonProcess daemon({"--concurrency", "1"});
  WireClient client(daemon.socket(), "gate", 10'000);  // so its deadline is 100 ms
  client.Send(wire::Uses{{"/e0"}});
  client.Send(wire::Forwarded{FromMs(20)});
  client.Send(wire::Forwarded{FromMs(120)});
  const json stream = AwaitStream(daemon, "gate", [](const json& s) { return s["done"] == 2; });
  EXPECT_EQ(stream["forwarded"], 2);
  EXPECT_EQ(stream["ungated"], 0);
  EXPECT_EQ(stream["deadline_miss_ratio"], 0.5);
  EXPECT_EQ(stream["inference_ms"]["max"], 120);
  EXPECT_EQ(stream["device"], nullptr);
  EXPECT_EQ(stream["verdict_code"], "forwarded");
  const json device = daemon.Status()["devices"][0];
  EXPECT_EQ(device["turns"], 0);
  EXPECT_EQ(device["load_ratio"], 0);
}

TEST(Assign, RefusesWhatMakesNoSense) {
  const DaemonProcess daemon;
  for (const auto& [arguments, words] : std::vector<std::pair<json, std::string>>{
           {json::array(), "not a JSON object"},
           {{{"name", "gate"}}, "expected \"name\""},
           {{{"executors", {"/e0"}}}, "expected \"name\""},
           {{{"name", "gate"}, {"executors", {1}}}, "expected \"name\""},
           {{{"name", "gate"}, {"executors", {"nobody"}}}, "executor 'nobody': expected"},
           {{{"name", ""}, {"executors", {"/e0"}}}, "expected a stream's name"},
           {{{"name", "a\nb"}, {"executors", {"/e0"}}}, "expected a stream's name"},
           {{{"name", "gate"}, {"executors", {"/" + std::string(107, 'x')}}}, "at most 107"},
           {{{"name", "gate"},
             {"executors", {"/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"}}},
            "one app uses at most 8"}}) {
    const auto answer = Assign(daemon, arguments);
    EXPECT_FALSE(answer.ok) << arguments.dump();
    EXPECT_NE(answer.chunk.find(words), std::string::npos) << answer.chunk;
  }
  // A client that says that it is two executors has to go.
  WireClient executor(daemon.socket(), "executor");
  executor.Send(wire::Serves{"/e0"});
  executor.Send(wire::Serves{"/e0"});
  executor.Send(wire::Serves{"/e1"});
  EXPECT_TRUE(executor.WaitClosed());
}

}  // namespace
}  // namespace stagger::daemon_test
