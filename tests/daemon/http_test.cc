// The dashboard's side: pages, the documented fields, which clients may ask.
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <regex>

#include "core/stream.h"
#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;

class Http : public ::testing::Test {
 protected:
  Http()
      : daemon_({"--http", "127.0.0.1:0", "--lease-floor", "60000"}),
        client_("http://" + daemon_.http()) {}
  httplib::Result Get(const std::string& path, const std::string& host = {}) {
    httplib::Headers headers;
    if (!host.empty()) headers.emplace("Host", host);
    return client_.Get(path.c_str(), headers);
  }
  json Status() { return json::parse(Get("/api/status")->body); }

  DaemonProcess daemon_;
  httplib::Client client_;
};

TEST_F(Http, ServesThePageWithoutOutsideResources) {
  for (const char* path : {"/", "/stagger.js", "/stagger.css"}) {
    const auto reply = Get(path);
    ASSERT_TRUE(reply) << path;
    EXPECT_EQ(reply->status, 200) << path;
    EXPECT_EQ(reply->get_header_value("Cache-Control"), "no-store");
    const std::string without_namespaces =
        std::regex_replace(reply->body, std::regex("http://www\\.w3\\.org/2000/svg"), "");
    EXPECT_EQ(without_namespaces.find("://"), std::string::npos) << path;
  }
  EXPECT_EQ(Get("/healthz")->body, "ok\n");
  EXPECT_EQ(Get("/nonesuch")->status, 404);
}

TEST_F(Http, OnlyReads) {
  EXPECT_EQ(client_.Post("/api/status", "{}", "application/json")->status, 405);
  EXPECT_EQ(client_.Delete("/")->status, 405);
}

TEST_F(Http, AnswersOnlyToItsOwnNames) {
  for (const char* host : {"localhost", "localhost:1234", "127.0.0.1:7", "[::1]:80"}) {
    EXPECT_EQ(Get("/api/status", host)->status, 200) << host;
  }
  for (const char* host : {"evil.example", "evil.example:7878", "127.0.0.1.evil.example",
                           "localhost.evil.example", "[::1", "10.0.0.1"}) {
    EXPECT_EQ(Get("/api/status", host)->status, 403) << host;
    EXPECT_EQ(Get("/", host)->status, 403) << host;
  }
}

TEST_F(Http, StatusHasTheDocumentedFields) {
  WireClient client(daemon_.socket(), "gate", 10'000);
  client.Send(wire::Ungated{2});
  client.Request(1);
  ASSERT_TRUE(client.Await<wire::Grant>());
  client.Release(1);
  const json status =
      daemon_.AwaitStatus([](const json& s) { return s["streams"][0]["done"] == 1; });
  for (const char* key :
       {"version", "pid", "uptime_s", "socket", "http", "policy", "devices", "streams", "totals"}) {
    EXPECT_TRUE(status.contains(key)) << key;
  }
  EXPECT_EQ(status["pid"], daemon_.pid());
  EXPECT_EQ(status["http"], daemon_.http());
  EXPECT_EQ(status["policy"]["name"], "fifo");
  const json& device = status["devices"][0];
  for (const char* key : {"name", "cores", "concurrency", "running", "waiting", "utilisation_ratio",
                          "body_time_ms", "busy_time_ms", "overlap_ratio", "turns"}) {
    EXPECT_TRUE(device.contains(key)) << key;
  }
  EXPECT_EQ(device["name"], "cpu:0");
  EXPECT_EQ(device["turns"], 1);
  const json& stream = status["streams"][0];
  for (const char* key : {"name", "pid", "command", "fps_required", "fps", "deadline_ms", "weight",
                          "deadline_miss_ratio", "missed", "wait_ms", "body_ms", "inference_ms",
                          "state", "attached_s", "video", "excess"}) {
    EXPECT_TRUE(stream.contains(key)) << key;
  }
  const std::string metrics = Get("/metrics")->body;
  for (const core::StreamCounter& counter : core::kStreamCounters) {
    if (counter.key == nullptr) continue;
    EXPECT_TRUE(stream.contains(counter.key)) << counter.key;
    EXPECT_TRUE(status["totals"].contains(counter.key)) << counter.key;
    const std::string sample =
        "stagger_stream_" + std::string(counter.key) + "_total{stream=\"gate\"}";
    EXPECT_EQ(metrics.find(sample) != std::string::npos, counter.help != nullptr) << sample;
  }
  EXPECT_EQ(stream["warmup"], 2);
  EXPECT_EQ(stream["state"], "idle");
  EXPECT_EQ(stream["inference_ms"]["p99"], 3.0);
  EXPECT_EQ(stream["deadline_miss_ratio"], 0.0);
  EXPECT_GT(stream["fps"], 0.0);
  const WireClient second(daemon_.socket(), "fresh");
  EXPECT_TRUE(daemon_.Status()["streams"][1]["wait_ms"]["p50"].is_null());
  EXPECT_TRUE(daemon_.Status()["streams"][1]["missed"].is_null());
}

TEST_F(Http, BothWaysTellTheSame) {
  const WireClient client(daemon_.socket(), "gate");
  const json over_http = Status();
  const json over_socket = daemon_.Status();
  ASSERT_EQ(over_http.size(), over_socket.size());
  for (const auto& [key, value] : over_socket["streams"][0].items()) {
    EXPECT_TRUE(over_http["streams"][0].contains(key)) << key;
  }
}

TEST_F(Http, FindsTheVideoOfAStreamsProcess) {
  // This test's own process is the stream's, and it listens.
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  socklen_t size = sizeof address;
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const WireClient client(daemon_.socket(), "gate");
  const std::string port = std::to_string(ntohs(address.sin_port));
  EXPECT_EQ(Status()["streams"][0]["video"], "http://127.0.0.1:" + port + "/");
}

TEST_F(Http, MetricsFollowTheFormat) {
  WireClient client(daemon_.socket(), "the \"gate\"", 10'000);
  client.Request(1);
  ASSERT_TRUE(client.Await<wire::Grant>());
  client.Release(1);
  daemon_.AwaitStatus([](const json& s) { return s["streams"][0]["done"] == 1; });
  const std::string text = Get("/metrics")->body;
  EXPECT_NE(text.find("stagger_turns_total{device=\"cpu:0\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("stagger_stream_done_total{stream=\"the \\\"gate\\\"\"} 1\n"),
            std::string::npos);
  std::istringstream lines(text);
  std::string line;
  const std::regex sample(
      R"re(stagger_[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,quantile="(0\.\d+|1)")?\})? [-+.e\d]+)re");
  while (std::getline(lines, line)) {
    EXPECT_TRUE(line.rfind("# ", 0) == 0 || std::regex_match(line, sample)) << line;
  }
}

TEST(HttpPort, ATakenPortIsAnErrorOnlyIfItWasAskedFor) {
  const DaemonProcess first({"--http", "127.0.0.1:0"});
  const TempDir dir;
  const Exit second = RunDaemon({"--socket", dir.File("s"), "--http", first.http()});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find(first.http()), std::string::npos) << second.err;
}

}  // namespace
}  // namespace stagger::daemon_test
