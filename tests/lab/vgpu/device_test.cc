// The virtual GPU's core: operations in, what happened out, in model time.
#include "lab/vgpu/device.h"

#include <gtest/gtest.h>

#include <map>

#include "lab/vgpu/driver_values.h"

namespace stagger::vgpu {
namespace {

constexpr TimePoint At(double ms) { return TimePoint{FromMs(ms)}; }

class VirtualDevice : public testing::Test {
 protected:
  void Begin(Mode mode, double sigma = 0, double coupling = 0) {
    Model model;
    model.contention = {.name = "d", .sigma = sigma, .w = coupling, .g = coupling};
    model.pcie_gbps = 1;  // 1 MB takes 1 ms
    model.copy_latency = Duration{};
    model.slice = FromMs(2);
    device = std::make_unique<Device>(model, mode);
    device->Join(1, 1);
    device->Join(2, 1);
  }
  void Kernel(ProcessKey process, std::uint64_t id, double ms, TimePoint at,
              std::vector<std::uint64_t> after = {}, double demand = 1, Fault fault = Fault::kNone,
              sim::Phase phase = sim::Phase::kBody) {
    Op op;
    op.id = id;
    op.kind = OpKind::kKernel;
    op.cost = FromMs(ms);
    op.demand = demand;
    op.fault = fault;
    op.phase = phase;
    device->Submit(process, op, after, at);
  }
  void Other(ProcessKey process, std::uint64_t id, OpKind kind, std::uint64_t bytes, TimePoint at,
             std::vector<std::uint64_t> after = {}) {
    Op op;
    op.id = id;
    op.kind = kind;
    op.bytes = bytes;
    device->Submit(process, op, after, at);
  }
  void RunTo(double ms) {
    device->Advance(At(ms));
    for (const Outcome& outcome : device->Take()) {
      order.push_back({outcome.process, outcome.op.id});
      seen[order.back()] = outcome;
    }
  }
  double BeginOf(ProcessKey process, std::uint64_t id) { return Ms(seen.at({process, id}).begin); }
  double EndOf(ProcessKey process, std::uint64_t id) { return Ms(seen.at({process, id}).end); }
  int ResultOf(ProcessKey process, std::uint64_t id) { return seen.at({process, id}).result; }
  static double Ms(TimePoint t) { return ToMs(t.since_epoch); }

  std::unique_ptr<Device> device;
  std::vector<std::pair<ProcessKey, std::uint64_t>> order;
  std::map<std::pair<ProcessKey, std::uint64_t>, Outcome> seen;
};

TEST_F(VirtualDevice, OneStartsWhenTheOneBeforeEndsHoweverLateAnybodyLooks) {
  Begin(Mode::kMps);
  Kernel(1, 1, 3, At(0));
  Kernel(1, 2, 4, At(0), {1});
  Kernel(1, 3, 5, At(0), {2});
  RunTo(1000);
  EXPECT_DOUBLE_EQ(BeginOf(1, 2), 3);
  EXPECT_DOUBLE_EQ(BeginOf(1, 3), 7);
  EXPECT_DOUBLE_EQ(EndOf(1, 3), 12);
  Kernel(1, 4, 1, At(1001), {3});
  RunTo(2000);
  EXPECT_DOUBLE_EQ(BeginOf(1, 4), 1001);
}

TEST_F(VirtualDevice, WithMpsBodiesSlowEachOtherAsTheModelSays) {
  Begin(Mode::kMps, 0.1);
  Kernel(1, 1, 10, At(0));
  Kernel(2, 1, 10, At(5));
  RunTo(100);
  // 5 alone, then both at 1 / (2 * 1.1); the second has 5 left when the first ends.
  EXPECT_NEAR(EndOf(1, 1), 5 + 5 * 2.2, 1e-5);
  EXPECT_NEAR(EndOf(2, 1), 16 + 5, 1e-5);
}

TEST_F(VirtualDevice, SmallBodiesOverlapForNothingAndPostPhasesAreSlowed) {
  Begin(Mode::kMps, 0.1, 0.5);
  Kernel(1, 1, 10, At(0), {}, 0.4);
  Kernel(2, 1, 10, At(0), {}, 0.6);
  RunTo(10);
  EXPECT_DOUBLE_EQ(EndOf(1, 1), 10);
  EXPECT_DOUBLE_EQ(EndOf(2, 1), 10);
  Kernel(1, 2, 10, At(20));
  Kernel(2, 2, 2, At(20), {}, 1, Fault::kNone, sim::Phase::kPost);
  RunTo(100);
  EXPECT_NEAR(EndOf(2, 2), 20 + 2 * 1.5, 1e-5);
  EXPECT_NEAR(EndOf(1, 2), 20 + 3 + (10 - 3 / 1.5), 1e-5);
}

TEST_F(VirtualDevice, AShareMakesKernelsLongerAndNarrower) {
  Begin(Mode::kMps, 0.5);
  device->Join(3, 0.5);
  device->Join(4, 0.5);
  Kernel(3, 1, 10, At(0));
  Kernel(4, 1, 10, At(0));
  Kernel(4, 2, 10, At(100), {}, 0.3);
  RunTo(200);
  EXPECT_DOUBLE_EQ(EndOf(3, 1), 20);
  EXPECT_DOUBLE_EQ(EndOf(4, 1), 20);
  EXPECT_DOUBLE_EQ(EndOf(4, 2), 110) << "one that fits in the share takes as long as ever";
}

TEST_F(VirtualDevice, SlicesGoRoundAmongProcessesWithKernels) {
  Begin(Mode::kTimeslice, 0.5);
  Kernel(1, 1, 5, At(0));
  Kernel(2, 1, 3, At(1));
  RunTo(100);
  // 1: 0-2, 2: 2-4, 1: 4-6, 2: 6-7, 1: 7-8.
  EXPECT_DOUBLE_EQ(BeginOf(2, 1), 1) << "waiting for its slice counts as running";
  EXPECT_DOUBLE_EQ(EndOf(2, 1), 7);
  EXPECT_DOUBLE_EQ(EndOf(1, 1), 8);
}

TEST_F(VirtualDevice, AProcessKeepsItsSliceFromKernelToKernel) {
  Begin(Mode::kTimeslice);
  Kernel(1, 1, 1, At(0));
  Kernel(1, 2, 1, At(0), {1});
  Kernel(2, 1, 1, At(0));
  RunTo(100);
  EXPECT_DOUBLE_EQ(EndOf(1, 2), 2);
  EXPECT_DOUBLE_EQ(EndOf(2, 1), 3);
}

TEST_F(VirtualDevice, CopiesQueuePerDirectionAndDontTouchKernels) {
  Begin(Mode::kMps, 0.5, 0.5);
  Kernel(1, 1, 10, At(0));
  Other(2, 1, OpKind::kCopyHtoD, 2'000'000, At(0));
  Other(2, 2, OpKind::kCopyHtoD, 1'000'000, At(1));
  Other(2, 3, OpKind::kCopyDtoH, 1'000'000, At(1));
  RunTo(100);
  EXPECT_DOUBLE_EQ(EndOf(2, 1), 2);
  EXPECT_DOUBLE_EQ(EndOf(2, 2), 3);
  EXPECT_DOUBLE_EQ(EndOf(2, 3), 2);
  EXPECT_DOUBLE_EQ(EndOf(1, 1), 10);
}

TEST_F(VirtualDevice, HostFunctionsEndWhenTheirProcessSaysSo) {
  Begin(Mode::kMps);
  Kernel(1, 1, 2, At(0));
  Other(1, 2, OpKind::kHost, 0, At(0), {1});
  Kernel(1, 3, 2, At(0), {2});
  EXPECT_EQ(device->NextWake(), At(2));
  RunTo(5);
  EXPECT_TRUE(seen.at({1, 2}).run_host);
  EXPECT_EQ(device->NextWake(), kNever);
  device->HostDone(1, 2, At(7));
  RunTo(20);
  EXPECT_DOUBLE_EQ(BeginOf(1, 3), 7);
}

TEST_F(VirtualDevice, SleepsUntilWhatIsWantedCanEndAndNoLonger) {
  Begin(Mode::kMps);
  for (std::uint64_t id = 1; id <= 2000; ++id) {
    Kernel(1, id, 0.02, At(0), id == 1 ? std::vector<std::uint64_t>{} : std::vector{id - 1});
  }
  EXPECT_EQ(device->NextWake(), kNever);
  device->Want(1, 2000);
  EXPECT_EQ(device->NextWake(), At(40)) << "one wake-up for 2000 kernels";
  // Another process slows it down: each wake-up is too early, but never too late.
  Kernel(2, 1, 1000, At(0));
  int wakes = 0;
  TimePoint last{};
  while (device->NextWake() != kNever) {
    ASSERT_GT(device->NextWake(), last);
    last = device->NextWake();
    RunTo(Ms(last));
    ++wakes;
  }
  EXPECT_NEAR(EndOf(1, 2000), 80, 0.01);
  EXPECT_EQ(seen.at({1, 2000}).end, last);
  EXPECT_LT(wakes, 40);
}

TEST_F(VirtualDevice, DoesNotWakeForWhatIsStillInAQueue) {
  Begin(Mode::kMps);
  Other(1, 1, OpKind::kCopyHtoD, 90'000'000, At(0));
  Other(2, 1, OpKind::kCopyHtoD, 1'000, At(0));
  device->Want(2, 1);
  EXPECT_NEAR(Ms(device->NextWake()), 90.001, 1e-5);
  Begin(Mode::kTimeslice);
  Kernel(1, 1, 90, At(0));
  Kernel(2, 1, 0.01, At(0.5));
  device->Want(2, 1);
  EXPECT_NEAR(Ms(device->NextWake()), 2.01, 1e-5);
}

TEST_F(VirtualDevice, AFailedLaunchFailsItsProcessOnly) {
  Begin(Mode::kMps);
  Kernel(1, 1, 5, At(0), {}, 1, Fault::kLaunch);
  Kernel(1, 2, 5, At(0), {1});
  Kernel(2, 1, 5, At(0));
  Kernel(1, 3, 5, At(1));
  RunTo(10);
  EXPECT_EQ(ResultOf(1, 1), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(ResultOf(1, 2), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(ResultOf(1, 3), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_DOUBLE_EQ(EndOf(1, 3), 1);
  EXPECT_EQ(ResultOf(2, 1), CUDA_SUCCESS);
  EXPECT_DOUBLE_EQ(EndOf(2, 1), 5);
}

TEST_F(VirtualDevice, AnIllegalAddressTakesEveryMpsClientAlongAndNobodyElseWithoutMps) {
  for (const Mode mode : {Mode::kMps, Mode::kTimeslice}) {
    Begin(mode);
    Kernel(2, 1, 5, At(0));
    Kernel(1, 1, 5, At(1), {}, 1, Fault::kAddress);
    RunTo(10);
    EXPECT_EQ(ResultOf(1, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
    if (mode == Mode::kMps) {
      EXPECT_EQ(ResultOf(2, 1), CUDA_ERROR_MPS_CLIENT_TERMINATED);
      EXPECT_DOUBLE_EQ(EndOf(2, 1), 1);
    } else {
      EXPECT_EQ(ResultOf(2, 1), CUDA_SUCCESS);
      EXPECT_DOUBLE_EQ(EndOf(2, 1), 5);
    }
  }
}

TEST_F(VirtualDevice, WhoLeavesFreesTheProcessorAtOnce) {
  for (const Mode mode : {Mode::kMps, Mode::kTimeslice}) {
    Begin(mode);
    Kernel(1, 1, 5, At(0), {}, 1, Fault::kHang);
    Other(1, 2, OpKind::kCopyHtoD, 90'000'000, At(0));
    Kernel(2, 1, 2, At(0));
    Other(2, 2, OpKind::kCopyHtoD, 1'000'000, At(0));
    device->Want(2, 1);
    RunTo(2);
    device->Leave(1, At(2));
    RunTo(100);
    EXPECT_NEAR(EndOf(2, 1), mode == Mode::kMps ? 3 : 4, 1e-5);
    EXPECT_DOUBLE_EQ(EndOf(2, 2), 3);
    EXPECT_TRUE(device->idle());
  }
}

TEST_F(VirtualDevice, TimeNeverRunsBackwards) {
  Begin(Mode::kMps);
  RunTo(10);
  Kernel(1, 1, 1, At(3));
  RunTo(20);
  EXPECT_DOUBLE_EQ(BeginOf(1, 1), 10);
}

TEST_F(VirtualDevice, CountsTheTimeInWhichKernelsRan) {
  Begin(Mode::kMps);
  Kernel(1, 1, 4, At(0));
  Kernel(2, 1, 4, At(20));
  device->Advance(At(22));
  EXPECT_EQ(device->BusyTime(At(22)), FromMs(6));
}

}  // namespace
}  // namespace stagger::vgpu
