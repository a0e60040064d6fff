// GPUs as devices, through the real daemon and a stand-in for the driver's management library.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;

// The library in that folder instead of the machine's own, if it has one.
Environment Nvml(const std::string& folder, const std::string& wrong = "") {
  return {{"LD_LIBRARY_PATH", NVML_FOLDERS + folder}, {"FAKE_NVML", wrong}};
}
Environment TwoGpus(const std::string& wrong = "") { return Nvml("fake", wrong); }

std::vector<std::string> Names(const json& status) {
  std::vector<std::string> names;
  for (const json& device : status["devices"]) names.push_back(device["name"]);
  return names;
}
using Strings = std::vector<std::string>;

std::size_t CountIn(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(Gpus, AreNotThereWhereTheLibraryFailsAndOneLineSaysWhy) {
  for (const auto& [environment, why] :
       {std::pair{Nvml("broken"), "libnvidia-ml.so.1: "},
        std::pair{TwoGpus("init"), "libnvidia-ml.so.1 does not start (NVML error 9)"},
        std::pair{TwoGpus("empty"), "libnvidia-ml.so.1 knows no GPU"}}) {
    const DaemonProcess daemon({}, environment);
    const json status = daemon.Status();
    ASSERT_EQ(Names(status), Strings{"cpu:0"}) << why;
    const json& cpu = status["devices"][0];
    EXPECT_EQ(cpu["kind"], "cpu");
    for (const char* field :
         {"model", "uuid", "memory_gb", "memory_used_gb", "gpu_utilisation_ratio", "processes"}) {
      EXPECT_TRUE(cpu.at(field).is_null()) << field;
    }
    EXPECT_EQ(CountIn(daemon.LogWith("no GPUs: "), "info: no GPUs: "), 1U) << daemon.Log();
    EXPECT_EQ(CountIn(daemon.Log(), why), 1U) << daemon.Log();
    EXPECT_EQ(CountIn(daemon.Log(), "warn"), 0U) << daemon.Log();
    EXPECT_TRUE(WireClient(daemon.socket(), "gate").welcome().gpus.empty());
  }
}

TEST(Gpus, ShowInTheStatus) {
  const DaemonProcess daemon({}, TwoGpus());
  const json status = daemon.Status();
  ASSERT_EQ(Names(status), (Strings{"cpu:0", "gpu:0", "gpu:1"}));
  EXPECT_EQ(status["devices"][0]["kind"], "cpu");
  const json& first = status["devices"][1];
  EXPECT_EQ(first["kind"], "gpu");
  EXPECT_EQ(first["model"], "Fake T4");
  EXPECT_EQ(first["uuid"], "GPU-00010203-0405-0607-0809-0a0b0c0d0e00");
  EXPECT_EQ(first["concurrency"], 1);
  EXPECT_EQ(first["memory_gb"], 16);
  const json& second = status["devices"][2];
  EXPECT_EQ(second["model"], "Fake A10");
  EXPECT_EQ(second["memory_gb"], 24);
  // Measurements come as soon as the driver has answered.
  const json seen = daemon.AwaitStatus(
      [](const json& s) { return !s["devices"][1]["memory_used_gb"].is_null(); })["devices"][1];
  EXPECT_EQ(seen["memory_used_gb"], 1);
  EXPECT_EQ(seen["gpu_utilisation_ratio"], 0.37);
  ASSERT_EQ(seen["processes"].size(), 20U);
  EXPECT_EQ(seen["processes"][0],
            (json{{"pid", 100}, {"stream", nullptr}, {"memory_gb", nullptr}}));
  EXPECT_EQ(seen["processes"][3], (json{{"pid", 103}, {"stream", nullptr}, {"memory_gb", 0.003}}));
}

TEST(Gpus, SayWhoseTheirProcessesAreAndWhatTheirComputeModeMeans) {
  Environment environment = TwoGpus();
  environment.emplace_back("FAKE_NVML_PIDS", std::to_string(getpid()) + ",1");
  environment.emplace_back("FAKE_NVML_MODE", "3");
  const DaemonProcess daemon({}, environment);
  const WireClient client(daemon.socket(), "gate");
  json devices = daemon.AwaitStatus(
      [](const json& s) { return !s["devices"][1]["processes"].is_null(); })["devices"];
  EXPECT_EQ(
      devices[1]["processes"],
      json::parse(R"([{"pid":)" + std::to_string(getpid()) +
                  R"(,"stream":"gate","memory_gb":1.0},{"pid":1,"stream":null,"memory_gb":1.0}])"));
  EXPECT_EQ(devices[1]["compute_mode"], "default");
  EXPECT_TRUE(devices[1]["problem"].is_null());
  EXPECT_EQ(devices[2]["compute_mode"], "exclusive_process");
  EXPECT_NE(devices[2]["problem"].get<std::string>().find("MPS does not run: one app can use it"),
            std::string::npos);

  environment.back().second = "2";
  const DaemonProcess prohibited({}, environment);
  devices = prohibited.AwaitStatus(
      [](const json& s) { return !s["devices"][2]["compute_mode"].is_null(); })["devices"];
  EXPECT_NE(devices[2]["problem"].get<std::string>().find("no app can use it"), std::string::npos);
}

// Every client of the GPU has said so, as under MPS, before the first of them leaves.
TEST(Gpus, ThatFailFreeTheirTurnsAndTheStatusSaysWhom) {
  const DaemonProcess daemon({"--lease-floor", "60000"}, TwoGpus());
  WireClient holder(daemon.socket(), "holder");
  auto culprit = std::make_unique<WireClient>(daemon.socket(), "culprit");
  WireClient elsewhere(daemon.socket(), "elsewhere");
  elsewhere.Request(1, DeviceId{2});
  ASSERT_TRUE(elsewhere.Await<wire::Grant>());
  holder.Request(1, DeviceId{1});
  ASSERT_TRUE(holder.Await<wire::Grant>());
  culprit->Request(1, DeviceId{1});
  daemon.AwaitStatus([](const json& s) { return !s["devices"][1]["waiting"].empty(); });
  holder.Send(wire::Faulted{DeviceId{1}, 810});
  EXPECT_TRUE(holder.Await<wire::Expired>());
  ASSERT_TRUE(culprit->Await<wire::Grant>());
  culprit->Send(wire::Faulted{DeviceId{1}, 700});
  culprit->Send(wire::Faulted{DeviceId{1}, 700});  // an agent that repeats itself is one report
  EXPECT_TRUE(culprit->Await<wire::Expired>());
  json status = daemon.AwaitStatus([](const json& s) {
    return !s["faults"].empty() && s["faults"][0]["streams"].size() == 2 &&
           s["devices"][1]["running"].empty();
  });
  ASSERT_EQ(status["faults"].size(), 1U);
  const json& fault = status["faults"][0];
  EXPECT_EQ(fault["device"], "gpu:0");
  EXPECT_EQ(fault["culprit"], "culprit");
  EXPECT_EQ(fault["shared"], true);
  EXPECT_EQ(fault["streams"].size(), 2U);
  EXPECT_EQ(fault["streams"][1]["error"], "illegal address");
  EXPECT_EQ(fault["streams"][1]["present"], true);
  EXPECT_EQ(status["streams"][0]["fault"], "another MPS client's fault");
  EXPECT_TRUE(status["streams"][2]["fault"].is_null());
  EXPECT_EQ(status["devices"][2]["running"].size(), 1U) << "another device's turn stays";
  EXPECT_EQ(status["devices"][1]["faults"], 1);
  EXPECT_EQ(status["devices"][2]["faults"], 0);
  const auto why = Command(daemon.socket(), "why", R"({"name":"holder"})");
  EXPECT_EQ(json::parse(why.chunk)["streams"][0]["faults"][0]["culprit"], "culprit");
  culprit.reset();
  status = daemon.AwaitStatus(
      [](const json& s) { return s["faults"][0]["streams"][1]["present"] == false; });
  EXPECT_EQ(status["faults"][0]["streams"][0]["present"], true);
}

TEST(Gpus, ThatTellNothingOfTheirUseAreStillShared) {
  const DaemonProcess daemon({}, TwoGpus("mute"));
  const json gpu = daemon.AwaitStatus(
      [](const json& s) { return !s["devices"][1]["memory_used_gb"].is_null(); })["devices"][1];
  EXPECT_TRUE(gpu["gpu_utilisation_ratio"].is_null());
  EXPECT_TRUE(gpu["processes"].is_null());
}

TEST(Gpus, WhoseDriverHangsHoldUpNeitherStatusNorTurns) {
  DaemonProcess daemon({}, TwoGpus("hang"));
  WireClient client(daemon.socket(), "gate");
  for (std::uint64_t seq = 1; seq <= 20; ++seq) {
    EXPECT_TRUE(daemon.Status()["devices"][1]["memory_used_gb"].is_null());
    client.Request(seq, DeviceId{1});
    ASSERT_TRUE(client.Await<wire::Grant>());
    client.Release(seq);
  }
  EXPECT_EQ(daemon.Stop(SIGTERM).code, 0);
}

TEST(Gpus, TakeTurnsIndependently) {
  const DaemonProcess daemon({"--lease-floor", "60000"}, TwoGpus());
  WireClient both(daemon.socket(), "both");
  WireClient other(daemon.socket(), "other");
  ASSERT_EQ(both.welcome().gpus.size(), 2U);
  EXPECT_EQ(both.welcome().gpus[0].device, DeviceId{1});
  EXPECT_EQ(both.welcome().gpus[0].uuid[14], 0x0e);
  EXPECT_EQ(both.welcome().gpus[0].uuid[15], 0);
  EXPECT_EQ(both.welcome().gpus[1].device, DeviceId{2});
  EXPECT_EQ(both.welcome().gpus[1].uuid[15], 1);

  both.Request(1, DeviceId{1});
  const auto grant = both.Await<wire::Grant>();
  ASSERT_TRUE(grant);
  EXPECT_TRUE(grant->cores.empty()) << "a GPU has none to give";
  both.Request(2, DeviceId{2});
  ASSERT_TRUE(both.Await<wire::Grant>()) << "one process, two devices, two turns";
  other.Request(1, DeviceId{1});
  daemon.AwaitStatus([](const json& s) { return !s["devices"][1]["waiting"].empty(); });
  EXPECT_TRUE(other.NothingYet());
  both.Release(2);
  daemon.AwaitStatus([](const json& s) { return s["devices"][2]["running"].empty(); });
  EXPECT_TRUE(other.NothingYet()) << "the other device's turn is not the one it waits for";
  both.Release(1);
  EXPECT_TRUE(other.Await<wire::Grant>());
  // An answer may be some milliseconds old.
  const json status =
      daemon.AwaitStatus([](const json& s) { return s["devices"][1]["turns"] == 2; });
  EXPECT_EQ(status["devices"][0]["turns"], 0);
  EXPECT_EQ(status["devices"][2]["turns"], 1);
}

TEST(Gpus, AStreamShowsTheDeviceItAskedLast) {
  const DaemonProcess daemon({}, TwoGpus());
  WireClient client(daemon.socket(), "gate");
  EXPECT_TRUE(daemon.Status()["streams"][0]["device"].is_null());
  std::uint64_t seq = 0;
  for (const auto& [id, name] : {std::pair{2U, "gpu:1"}, std::pair{0U, "cpu:0"}}) {
    client.Request(++seq, DeviceId{id});
    ASSERT_TRUE(client.Await<wire::Grant>());
    client.Release(seq);
    daemon.AwaitStatus([on = name](const json& s) { return s["streams"][0]["device"] == on; });
  }
  WireClient claims(daemon.socket(), "claims");
  claims.Send(wire::Claim{TurnSeq{5}, DeviceId{1}, FromMs(20)});
  const json status =
      daemon.AwaitStatus([](const json& s) { return !s["devices"][1]["running"].empty(); });
  EXPECT_EQ(status["streams"][1]["device"], "gpu:0");
}

TEST(Gpus, AnInferenceThatEndsAfterItsBodyIsRecordedWhenItEnds) {
  const DaemonProcess daemon({"--lease-floor", "60000"}, TwoGpus());
  WireClient client(daemon.socket(), "gate");
  client.Request(1, DeviceId{1});
  ASSERT_TRUE(client.Await<wire::Grant>());
  client.Send(wire::Release{TurnSeq{1}, FromMs(40), FromMs(0), Duration{0}});
  const auto await = [&](const std::function<bool(const json&)>& good) {
    return daemon.AwaitStatus([&](const json& s) { return good(s["streams"][0]); })["streams"][0];
  };
  json stream = await([](const json& s) { return s["done"] == 1; });
  EXPECT_TRUE(stream["inference_ms"]["mean"].is_null()) << "the call goes on";
  client.Send(wire::Ended{DeviceId{1}, FromMs(17), FromMs(61)});
  stream = await([](const json& s) { return !s["inference_ms"]["mean"].is_null(); });
  EXPECT_EQ(stream["inference_ms"]["max"], 61);
  EXPECT_EQ(stream["profile"]["post_ms"]["mean"], 17);
  client.Send(
      wire::Request{TurnSeq{2}, DeviceId{1}, FromMs(1), true, false, FromMs(19), FromMs(81)});
  ASSERT_TRUE(client.Await<wire::Grant>());
  // Told with the next request.
  stream = await([](const json& s) { return s["inference_ms"]["max"] == 81; });
  EXPECT_EQ(stream["profile"]["post_ms"]["mean"], 18);
}

TEST(Gpus, CanBeChosen) {
  const DaemonProcess one({"--devices", "gpu:1"}, TwoGpus());
  EXPECT_EQ(Names(one.Status()), (Strings{"cpu:0", "gpu:1"}));
  const WireClient client(one.socket(), "gate");
  ASSERT_EQ(client.welcome().gpus.size(), 1U);
  EXPECT_EQ(client.welcome().gpus[0].device, DeviceId{1});
  EXPECT_EQ(client.welcome().gpus[0].uuid[15], 1);

  const DaemonProcess none({"--devices", "cpu"}, TwoGpus());
  EXPECT_EQ(Names(none.Status()), Strings{"cpu:0"});
  EXPECT_EQ(CountIn(none.Log(), "no GPUs"), 0U) << "that is what was asked for";
}

TEST(Gpus, ThatAreChosenMustBeThere) {
  const TempDir dir;
  const auto run = [&](const std::string& devices, const Environment& environment) {
    return RunDaemon({"--socket", dir.File("s"), "--http", "off", "--devices", devices},
                     environment);
  };
  const Exit absent = run("gpu:5", TwoGpus());
  EXPECT_EQ(absent.code, 1);
  EXPECT_NE(absent.err.find("devices: gpu:5 is not on this machine; it has gpu:0, gpu:1"),
            std::string::npos)
      << absent.err;
  const Exit no_driver = run("gpu:0", TwoGpus("init"));
  EXPECT_EQ(no_driver.code, 1);
  EXPECT_NE(no_driver.err.find("devices: gpu:0 is not on this machine; it has no GPU "
                               "(libnvidia-ml.so.1 does not start (NVML error 9))"),
            std::string::npos)
      << no_driver.err;
  EXPECT_EQ(run("all", TwoGpus()).code, 2);
}

TEST(Gpus, BeyondSixteenAreLeftOut) {
  const DaemonProcess daemon({}, TwoGpus("many"));
  EXPECT_EQ(daemon.Status()["devices"].size(), 17U);
  EXPECT_EQ(WireClient(daemon.socket(), "gate").welcome().gpus.size(), 16U);
  EXPECT_EQ(CountIn(daemon.LogWith("serves"), "is left out: 16 GPUs are the most"), 4U)
      << daemon.Log();
}

}  // namespace
}  // namespace stagger::daemon_test
