// The status document, built without a process: to look is not to act.
#include "daemon/view/status.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "daemon/daemon_process.h"
#include "documents/json.h"

namespace stagger::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class StatusTest : public testing::Test {
 protected:
  StatusTest() {
    core::EngineConfig config;
    config.devices = {{"cpu:0", {0, 1}}};
    config.policy.name = "fifo";
    auto recorder = record::Recorder::Create(recording_, config);
    EXPECT_TRUE(recorder);
    recorder_.emplace(std::move(recorder).value());
    auto host = EngineHost::Create(config, {}, AdmissionMode::kWarn, &*recorder_, now_);
    EXPECT_TRUE(host);
    host_ = std::move(host).value();
    auto loop = EventLoop::Create();
    EXPECT_TRUE(loop);
    loop_ = std::move(loop).value();
    auto mps = Mps::Create(loop_.get(), MpsMode::kOff, dir_.File("socket"), "");
    EXPECT_TRUE(mps);
    mps_ = std::move(mps).value();
    status_.emplace(
        host_.get(),
        DaemonFacts{"/s", "", {{config.devices[0], {}}}, &loop_->steps(), [] { return 0; }},
        nullptr, mps_.get(), &plan_);
  }
  documents::Status Look() { return status_->Latest(Duration{}, now_)->Complete(); }
  std::string Recorded() {
    EXPECT_TRUE(recorder_->Drain(daemon_test::kLimit));
    std::ifstream file(recording_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Join(ClientId client, const std::string& name) {
    wire::Hello hello;
    hello.spec.name = name;
    host_->Join(client, hello, "app", 17, 1, "app", now_);
  }

  daemon_test::TempDir dir_;
  const std::string recording_ = dir_.File("recording");
  TimePoint now_{seconds{1000}};
  std::optional<record::QueuedRecorder> recorder_;
  std::unique_ptr<EngineHost> host_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Mps> mps_;
  std::shared_ptr<const placement::PlanInForce> plan_ =
      std::make_shared<const placement::PlanInForce>();
  std::optional<Status> status_;
};

TEST_F(StatusTest, ToLookIsNotRecorded) {
  Join(ClientId{1}, "gate");
  const std::string before = Recorded();
  ASSERT_NE(before.find("gate"), std::string::npos);
  for (int i = 0; i < 100; ++i, now_ = now_ + seconds{1}) {
    EXPECT_EQ(Look().streams.at(0).attached_s, i);
  }
  EXPECT_EQ(Recorded(), before);
}

TEST_F(StatusTest, ABodyUnderWayCountsUpToTheLook) {
  Join(ClientId{1}, "gate");
  host_->OnMessage(ClientId{1}, wire::Request{TurnSeq{1}, DeviceId{0}, {}, true}, now_);
  now_ = now_ + milliseconds{40};
  documents::Device device = Look().devices.at(0);
  EXPECT_EQ(device.busy_time_ms, 40);
  EXPECT_EQ(device.body_time_ms, 40);
  EXPECT_EQ(device.running.at(0).for_ms, 40);
  // Once more, not twice as much; and the engine's next step counts the same time once.
  device = Look().devices.at(0);
  EXPECT_EQ(device.busy_time_ms, 40);
  now_ = now_ + milliseconds{60};
  host_->OnMessage(ClientId{1}, wire::Release{TurnSeq{1}, milliseconds{100}, {}, {}}, now_);
  device = Look().devices.at(0);
  EXPECT_EQ(device.busy_time_ms, 100);
  EXPECT_NEAR(device.utilisation_ratio.value(), 0.1, 0.01);
}

TEST_F(StatusTest, IsReadAsItIsWritten) {
  Join(ClientId{1}, "gate");
  host_->OnMessage(ClientId{1}, wire::Request{TurnSeq{1}, DeviceId{0}, {}, true}, now_);
  const std::string text = documents::ToText(Look());
  const auto again = documents::Read<documents::Status>(nlohmann::json::parse(text));
  EXPECT_EQ(again.streams.at(0).counters.granted, 1U);
  EXPECT_EQ(again.devices.at(0).running.at(0).stream, "gate");
  EXPECT_EQ(documents::ToText(again), text);
}

TEST_F(StatusTest, OfAnotherVersionIsReadAsFarAsItIsKnown) {
  const auto json = nlohmann::json::parse(R"({
    "pid": "none", "mps": null, "devices": {"cpu:0": 1}, "later": [1],
    "policy": {"name": "edf", "concurrency": "auto", "later": 2},
    "streams": [{"name": 7, "on": ["e0"], "fps_required": 5, "done": 3, "placement": null}, 8]})");
  const auto status = documents::Read<documents::Status>(json);
  EXPECT_EQ(status.pid, 0);
  EXPECT_EQ(status.mps.mode, "off");
  EXPECT_TRUE(status.devices.empty());
  EXPECT_TRUE(status.policy.concurrency.by_itself);
  ASSERT_EQ(status.streams.size(), 2U);
  EXPECT_EQ(status.streams[0].name, "");
  EXPECT_EQ(status.streams[0].on, documents::Names{"e0"});
  EXPECT_EQ(status.streams[0].fps_required, 5);
  EXPECT_EQ(status.streams[0].counters.done, 3U);
  EXPECT_FALSE(status.streams[0].placement);
  EXPECT_FALSE(documents::Read<documents::Status>("text").http);
}

}  // namespace
}  // namespace stagger::daemon
