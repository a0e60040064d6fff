// Who follows the places of its streams on a connection hears of each change.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>
#include <nlohmann/json.hpp>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"
#include "wire/listener.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;

std::optional<json> NextPlaces(WireClient* client) {
  std::string text;
  while (const auto reply = client->Await<wire::ControlReply>()) {
    EXPECT_TRUE(reply->ok) << reply->chunk;
    text += reply->chunk;
    if (!reply->more) return json::parse(text).at("streams");
  }
  return std::nullopt;
}

TEST(Places, AreToldAtOnceAndAtEachChange) {
  const TempDir dir;
  DaemonProcess daemon;
  // One executor listens, and nobody at the other socket ever does.
  auto executor = wire::Listen(dir.File("there"), "");
  ASSERT_TRUE(executor) << executor.error().message;
  json plan{{"devices",
             {{{"name", "there"}, {"on", "cpu:0"}, {"socket", dir.File("there")}},
              {{"name", "never"}, {"on", "cpu:0"}, {"socket", dir.File("never")}}}},
            {"streams", json::array()}};
  std::map<std::string, json> expected;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "stream-" + std::to_string(i);
    plan["streams"].push_back(
        {{"name", name}, {"fps", 1}, {"body_ms", 1}, {"executor", true}, {"devices", {"never"}}});
    expected[name] = json::array({"there"});
  }
  WireClient follower(daemon.socket());
  follower.Send(wire::Control{wire::kProtocolVersion, "places", ""});
  const auto none = NextPlaces(&follower);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty()) << "it has asked for none yet";
  const wire::ControlReply placed = Command(daemon.socket(), "place", plan.dump());
  ASSERT_TRUE(placed.ok) << placed.chunk;

  std::map<std::string, json> heard;
  std::size_t at_first = 0;
  while (heard != expected) {
    const auto places = NextPlaces(&follower);
    ASSERT_TRUE(places) << "it hears no more";
    EXPECT_LE(places->size(), 64U);
    for (const json& place : *places) {
      heard[place["name"]] = place["devices"];
      at_first += place["devices"] == json::array({"never"}) ? 1 : 0;
      if (place["devices"] != json::array({"there"})) continue;
      EXPECT_EQ(place["executors"], json::array({dir.File("there")}));
      EXPECT_NE(place["reason"].get<std::string>().find("never is gone"), std::string::npos);
    }
  }
  EXPECT_EQ(at_first, 100U);

  const wire::ControlReply refused = Command(daemon.socket(), "places", R"({"streams":[]})");
  EXPECT_FALSE(refused.ok) << "there are no arguments";
}

}  // namespace
}  // namespace stagger::daemon_test
