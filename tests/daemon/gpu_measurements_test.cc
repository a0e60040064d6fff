// What is seen of a GPU that apps use themselves.
#include "daemon/plan/gpu_measurements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace stagger::daemon {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;

constexpr DeviceId kGpu{1};
constexpr std::uint64_t kGb = 1'000'000'000;

class GpuMeasurementsTest : public testing::Test {
 protected:
  GpuMeasurementsTest() {
    gpu_.memory_bytes = 16 * kGb;
    for (const auto& [client, pid] : {std::pair{kOne, 11}, std::pair{kTwo, 12}}) {
      Step(core::ClientJoined{client, {}});
      ledger_.Joined(client, {.name = client == kOne ? "one" : "two",
                              .pid = pid,
                              .uid = 0,
                              .command = {},
                              .done = RateWindow(now_)});
    }
  }
  static core::Engine MakeEngine() {
    core::EngineConfig config;
    config.devices = {{"cpu:0", {0, 1}}, {"gpu:0", {}}};
    config.policy.name = "fifo";
    return std::move(core::Engine::Create(config)).value();
  }
  void Step(const core::Event& event) { engine_.Step(event, now_); }
  void Bodies(ClientId client, int count, int ms, DeviceId device = kGpu) {
    for (int i = 0; i < count; ++i) {
      const TurnSeq seq{++seq_};
      Step(core::TurnRequested{client, seq, device, {}, true});
      now_ = now_ + milliseconds{ms};
      core::TurnReleased released;
      released.client = client;
      released.seq = seq;
      released.body = milliseconds{ms};
      Step(released);
      now_ = now_ + milliseconds{5};
    }
  }
  placement::DeviceMeasurements Read(const device::GpuUse& use = {}) {
    return measurements_.Read(gpu_, use, kGpu, engine_, ledger_);
  }

  static constexpr ClientId kOne{1};
  static constexpr ClientId kTwo{2};
  TimePoint now_{std::chrono::seconds{100}};
  core::Engine engine_ = MakeEngine();
  Ledger ledger_{2, now_};
  device::Gpu gpu_;
  GpuMeasurements measurements_;
  std::uint64_t seq_ = 0;
};

TEST_F(GpuMeasurementsTest, ABodysTimeIsThatOfEnoughOfThem) {
  Bodies(kOne, 20, 10);
  EXPECT_THAT(Read().apps, IsEmpty()) << "its agent may still be learning";
  Bodies(kOne, 10, 10);
  Bodies(kTwo, 29, 4);
  auto apps = Read().apps;
  ASSERT_EQ(apps.size(), 1U);
  EXPECT_EQ(apps[0].name, "one");
  EXPECT_EQ(apps[0].body, milliseconds{10});
  EXPECT_THAT(Read().apps, IsEmpty()) << "nothing is told twice";
  // Of those since then alone.
  Bodies(kOne, 30, 25);
  apps = Read().apps;
  ASSERT_EQ(apps.size(), 1U);
  EXPECT_EQ(apps[0].body, milliseconds{25});
}

TEST_F(GpuMeasurementsTest, OfAnAppThatUsesOtherDevicesNothingIsSaid) {
  Bodies(kOne, 40, 10);
  Bodies(kOne, 1, 10, DeviceId{0});
  EXPECT_THAT(Read().apps, IsEmpty());
}

TEST_F(GpuMeasurementsTest, MemoryIsAllThatOthersDoNotHold) {
  device::GpuUse use;
  EXPECT_EQ(Read(use).available_gb, 0) << "not known";
  use.memory_bytes = 6 * kGb;
  EXPECT_EQ(Read(use).available_gb, 0) << "nor whose it is";
  use.processes = {{11, 2 * kGb}, {99, 3 * kGb}};
  EXPECT_DOUBLE_EQ(Read(use).available_gb, 12);
  use.memory_bytes = 18 * kGb;
  EXPECT_DOUBLE_EQ(Read(use).available_gb, 0.001) << "next to nothing, and that is known";
  use.processes->front().memory_bytes.reset();
  EXPECT_EQ(Read(use).available_gb, 0);
}

TEST_F(GpuMeasurementsTest, ProcessNumbersOfAnotherNamespaceSayNothing) {
  Bodies(kOne, 1, 10);
  device::GpuUse use;
  use.memory_bytes = 6 * kGb;
  use.processes = {{4711, 6 * kGb}};
  EXPECT_EQ(Read(use).available_gb, 0);
}

}  // namespace
}  // namespace stagger::daemon
