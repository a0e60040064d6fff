#include "lab/sim/simulate.h"

#include <gtest/gtest.h>

#include <string>

#include "lab/sim/device_run.h"

namespace stagger::sim {
namespace {

using std::chrono::seconds;

StreamModel Camera(const std::string& name, double fps, double body_ms) {
  StreamModel stream;
  stream.name = stream.group = name;
  if (fps > 0) stream.period = FromMs(1000 / fps);
  stream.deadline = stream.period;
  stream.phase = Duration{};
  stream.body = FromMs(body_ms);
  return stream;
}

Scenario Of(const std::string& policy, std::vector<StreamModel> streams) {
  Scenario scenario;
  scenario.length = seconds{10};
  scenario.policy = {.name = policy, .concurrency = 1};
  scenario.devices = {{.name = "gpu"}};
  scenario.streams = std::move(streams);
  return scenario;
}

Outcome Play(const Scenario& scenario, std::uint64_t seed = 1, unsigned threads = 1) {
  Result<Outcome> outcome = Simulate(scenario, seed, threads);
  EXPECT_TRUE(outcome);
  return std::move(outcome).value();
}

double MeanMs(const Histogram& histogram) { return histogram.mean_ns() / 1e6; }

TEST(Simulate, ALoneCameraIsServedAtItsRate) {
  StreamModel camera = Camera("cam", 10, 20);
  camera.pre = FromMs(5);
  camera.post = FromMs(10);
  const Outcome outcome = Play(Of("fifo", {camera}));
  EXPECT_EQ(outcome.all.frames, 100);
  EXPECT_EQ(outcome.all.done, 100);
  EXPECT_EQ(outcome.all.drops, 0);
  EXPECT_NEAR(MeanMs(outcome.all.inference), 35, 0.001);
  EXPECT_NEAR(MeanMs(outcome.all.body), 20, 0.001);
}

TEST(Simulate, UncontrolledBodiesCollideAndGatedOnesDoNot) {
  const std::vector<StreamModel> two{Camera("a", 10, 20), Camera("b", 10, 20)};
  const Outcome off = Play(Of("off", two));
  EXPECT_NEAR(MeanMs(off.all.inference), 40, 0.001);
  EXPECT_NEAR(off.overlap_ratio, 1, 0.001);
  const Outcome fifo = Play(Of("fifo", two));
  EXPECT_NEAR(MeanMs(fifo.all.inference), 30, 0.001);
  EXPECT_EQ(fifo.overlap_ratio, 0);
}

TEST(Simulate, SerialHoldsTheTurnForTheWholeInference) {
  StreamModel a = Camera("a", 10, 20);
  a.post = FromMs(10);
  StreamModel b = a;
  b.name = b.group = "b";
  const Outcome serial = Play(Of("serial", {a, b}));
  EXPECT_NEAR(ToMs(serial.of_group[1].inference.max()), 60, 0.001);
  const Outcome fifo = Play(Of("fifo", {a, b}));
  EXPECT_NEAR(ToMs(fifo.of_group[1].inference.max()), 50, 0.001);
}

TEST(Simulate, AFrameThatArrivesWhileItsAppIsBusyIsDroppedOrTheLatestWaits) {
  Scenario scenario = Of("fifo", {Camera("cam", 10, 150)});
  const Outcome drop = Play(scenario);
  EXPECT_NEAR(drop.all.drop_ratio(), 0.5, 0.01);
  EXPECT_NEAR(MeanMs(drop.all.latency), 150, 0.001);
  scenario.queue = Queue::kLatest;
  const Outcome latest = Play(scenario);
  EXPECT_NEAR(latest.all.drop_ratio(), 1.0 / 3, 0.02);
  EXPECT_GT(MeanMs(latest.all.latency), 160);
  EXPECT_NEAR(MeanMs(latest.all.inference), 150, 0.001);
}

TEST(Simulate, EdfKeepsTheTightOneInTime) {
  std::vector<StreamModel> streams{Camera("fast", 20, 10)};
  for (const char* name : {"s1", "s2", "s3"}) streams.push_back(Camera(name, 2.5, 30));
  EXPECT_GT(Play(Of("fifo", streams)).of_group[0].late, 0);
  EXPECT_EQ(Play(Of("edf", streams)).of_group[0].late, 0);
}

// Apps with one model on one executor; a batch of two takes 15 ms, of four 20.
Scenario Executed(const std::vector<StreamModel>& streams, int max_batch) {
  Scenario scenario = Of("edf", streams);
  ExecutorModel executor{.name = "e", .device = 0, .max_batch = max_batch, .curve = {}};
  executor.curve = {{1, FromMs(10)}, {2, FromMs(15)}, {4, FromMs(20)}};
  scenario.executors.push_back(executor);
  for (StreamModel& stream : scenario.streams) stream.executor = 0;
  return scenario;
}

TEST(Simulate, AnExecutorRunsWhatWaitsTogether) {
  // The first starts the executor; the others come while it runs.
  std::vector<StreamModel> four;
  for (int i = 0; i < 4; ++i) {
    four.push_back(Camera("cam" + std::to_string(i), 10, 10));
    four.back().phase = FromMs(i);
    four.back().pre = FromMs(2);
    four.back().post = FromMs(3);
  }
  const Outcome serial = Play(Executed(four, 1));
  EXPECT_EQ(serial.batches, 0U);
  EXPECT_NEAR(ToMs(serial.of_group[3].latency.max()), 40 - 3 + 5, 0.001);
  const Outcome batched = Play(Executed(four, 4));
  EXPECT_EQ(batched.batches, 100U);
  EXPECT_EQ(batched.all.done, 400);
  EXPECT_NEAR(ToMs(batched.of_group[0].latency.max()), 10 + 5, 0.001);
  EXPECT_NEAR(ToMs(batched.of_group[3].latency.max()), 10 - 3 + 17.5 + 5, 0.001);
  EXPECT_NEAR(ToMs(batched.of_group[3].body.max()), 17.5, 0.001);
}

TEST(Simulate, BelowSaturationAnExecutorLetsNobodyWaitForABatch) {
  const Outcome outcome = Play(Executed({Camera("a", 10, 10)}, 4));
  EXPECT_EQ(outcome.batches, 0U);
  EXPECT_NEAR(ToMs(outcome.all.latency.max()), 10, 0.001);
}

TEST(Simulate, AnExecutorAndAnAppTakeTurns) {
  StreamModel other = Camera("other", 10, 30);
  Scenario scenario = Executed({Camera("a", 10, 10)}, 4);
  scenario.streams.push_back(other);
  const Outcome outcome = Play(scenario);
  EXPECT_EQ(outcome.overlap_ratio, 0);
  EXPECT_EQ(outcome.all.done, 200);
  EXPECT_NEAR(ToMs(outcome.all.latency.max()), 40, 0.001);
}

// Six cameras ask for half as much again as the device can do, four of them from second 10 on.
Scenario Overload() {
  std::vector<StreamModel> streams;
  const double weights[] = {1, 2, 4};
  for (int i = 0; i < 6; ++i) {
    StreamModel camera = Camera("cam" + std::to_string(i), 5, 49.8);
    camera.weight = weights[i / 2];
    camera.min_fps = 2.5;
    camera.phase.reset();
    if (i >= 2) camera.start = seconds{10};
    streams.push_back(camera);
  }
  Scenario scenario = Of("edf", streams);
  scenario.handoff = FromMs(0.2);
  scenario.jitter = 0.03;
  scenario.draws = 5;
  return scenario;
}
// What the law leaves of 5 fps: weight 1 at its minimum, 2 and 4 share what is then missing.
constexpr double kLaw[] = {2.5, 5 * (1 - 1.0 / 3), 5 * (1 - 1.0 / 6)};

TEST(Simulate, TwoSecondsAfterOverloadBeginsRatesFollowTheLaw) {
  Scenario scenario = Overload();
  scenario.warmup = FromMs(11'900);
  scenario.length = FromMs(100);
  const Outcome outcome = Play(scenario);
  for (std::size_t i = 0; i < 6; ++i) {
    const double fps = static_cast<double>(outcome.of_group[i].assigned_mfps) / 1000 / 5;
    EXPECT_NEAR(fps, kLaw[i / 2], 0.05 * kLaw[i / 2]) << i;
  }
}

TEST(Simulate, UnderOverloadRatesAreKeptAndFramesInTime) {
  Scenario scenario = Overload();
  scenario.warmup = seconds{12};
  scenario.length = seconds{30};
  const Outcome outcome = Play(scenario);
  for (std::size_t i = 0; i < 6; ++i) {
    const Tally& camera = outcome.of_group[i];
    EXPECT_NEAR(static_cast<double>(camera.done) / 30 / 5, kLaw[i / 2], 0.05 * kLaw[i / 2]) << i;
    EXPECT_EQ(camera.drops, 0) << i;
    EXPECT_NEAR(static_cast<double>(camera.frames),
                static_cast<double>(camera.done + camera.skipped), 2 * 5);  // the rest is under way
  }
  EXPECT_LE(static_cast<double>(outcome.all.late), 0.01 * static_cast<double>(outcome.all.done));
  // Without it nearly everybody is late or dropped.
  scenario.policy.elastic = false;
  const Outcome without = Play(scenario);
  EXPECT_GT(static_cast<double>(without.all.late), 0.3 * static_cast<double>(without.all.done));
  EXPECT_EQ(without.all.skipped, 0);
}

// Where the work does not fit under any limit, to look for a better one costs few frames.
TEST(Simulate, AutoKeepsToTheLawUnderOverload) {
  Scenario scenario = Overload();
  scenario.policy.auto_concurrency = true;
  scenario.warmup = seconds{12};
  scenario.length = seconds{60};
  const Outcome outcome = Play(scenario);
  EXPECT_LE(static_cast<double>(outcome.all.late), 0.05 * static_cast<double>(outcome.all.done));
  for (std::size_t i = 0; i < 6; ++i) {
    const double fps = static_cast<double>(outcome.of_group[i].done) / 60 / 5;
    EXPECT_NEAR(fps, kLaw[i / 2], 0.06 * kLaw[i / 2]) << i;
  }
}

// Bodies that fill a quarter of the device: one at a time half of the frames can be served.
TEST(Simulate, AutoFindsRoomForStatedRates) {
  std::vector<StreamModel> streams;
  for (int i = 0; i < 12; ++i) {
    StreamModel camera = Camera("cam" + std::to_string(i), 40, 4);
    camera.demand = 0.25;
    camera.phase.reset();
    streams.push_back(camera);
  }
  Scenario scenario = Of("edf", streams);
  scenario.devices[0].sigma = 0.3;
  scenario.policy.auto_concurrency = true;
  scenario.warmup = seconds{30};
  scenario.length = seconds{10};
  const Outcome outcome = Play(scenario);
  EXPECT_EQ(outcome.all.drops + outcome.all.skipped, 0);
  EXPECT_EQ(outcome.all.late, 0);
  scenario.policy.auto_concurrency = false;
  EXPECT_GT(Play(scenario).all.skipped, 0.4 * static_cast<double>(outcome.all.frames));
}

// Large bodies that fill the device beside small ones: no number at once suits both, their demands
// do.
TEST(Simulate, ADemandLimitSuitsLargeAndSmallBodies) {
  std::vector<StreamModel> streams;
  for (int i = 0; i < 10; ++i) {
    const bool large = i < 2;
    StreamModel app = Camera((large ? "large" : "small") + std::to_string(i), 0, large ? 30 : 8);
    app.app = FromMs(large ? 60 : 1);
    app.demand = large ? 1 : 0.25;
    streams.push_back(app);
  }
  Scenario scenario = Of("fifo", streams);
  scenario.devices[0].sigma = 0.3;
  scenario.jitter = 0.03;
  scenario.warmup = seconds{10};
  scenario.length = seconds{30};
  // ms of device work done, each body with what it fills.
  const auto work = [&] {
    const Outcome outcome = Play(scenario);
    double sum = 0;
    for (std::size_t i = 0; i < 10; ++i) {
      sum += static_cast<double>(outcome.of_group[i].done) * (i < 2 ? 30 : 8 * 0.25);
    }
    return sum;
  };
  scenario.policy.concurrency = 0;
  scenario.policy.demand_limit = 1.25;
  const double by_demand = work();
  scenario.policy.demand_limit = 0;
  for (const int k : {1, 2, 3, 4, 6, 8}) {
    scenario.policy.concurrency = k;
    EXPECT_GT(by_demand, 1.02 * work()) << k;
  }
}

TEST(Simulate, RatesComeBackWhenLoadFalls) {
  Scenario scenario = Overload();
  for (std::size_t i = 2; i < 6; ++i) scenario.streams[i].stop = seconds{20};
  scenario.warmup = seconds{21};
  const Outcome outcome = Play(scenario);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(outcome.of_group[i].assigned_mfps, 5 * 5000);
    EXPECT_EQ(outcome.of_group[i].skipped + outcome.of_group[i].drops, 0);
    EXPECT_GE(outcome.of_group[i].done, outcome.of_group[i].frames - 5);  // under way at the end
  }
}

// A camera of 30 fps whose app reads every frame, while 4 inferences a second are needed.
Scenario FastCamera(Excess excess) {
  StreamModel camera = Camera("cam", 4, 8);
  camera.camera_period = Duration{33'333'333};
  camera.excess = excess;
  Scenario scenario = Of("edf", {camera});
  scenario.length = seconds{600};
  return scenario;
}

TEST(Simulate, ReuseLeavesExactlyTheNeededInferencesForTenMinutes) {
  const Scenario scenario = FastCamera(Excess::kReuse);
  Result<DeviceResult> result = RunDevice(scenario, 0, 1, 0);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->done_by_second.size(), 600u);
  for (const std::int64_t done : result->done_by_second) ASSERT_EQ(done, 4);
  const Tally& all = result->groups[0];
  EXPECT_EQ(all.frames, 18'001);
  EXPECT_EQ(all.done, 2400);
  EXPECT_EQ(all.skipped, 15'600);
  EXPECT_EQ(all.drops + all.late, 0);
  EXPECT_EQ(all.inference.max(), FromMs(8));
}

TEST(Simulate, PaceHoldsTheRateForTenMinutes) {
  const Outcome outcome = Play(FastCamera(Excess::kPace));
  EXPECT_NEAR(static_cast<double>(outcome.all.done), 2400, 1);
  EXPECT_EQ(outcome.all.drops, 0);
  EXPECT_EQ(outcome.all.late, 0) << "waiting for its slot makes no frame late";
  EXPECT_GE(outcome.all.frames - outcome.all.done - outcome.all.skipped, 0);
  EXPECT_LE(outcome.all.frames - outcome.all.done - outcome.all.skipped, 1);  // under way
  // One that is always ready is held to it likewise.
  Scenario ready = FastCamera(Excess::kPace);
  ready.streams[0].camera_period = Duration{};
  EXPECT_NEAR(static_cast<double>(Play(ready).all.done), 2400, 1);
}

TEST(Simulate, PassLetsAllThroughAndOffKeepsNoRate) {
  EXPECT_EQ(Play(FastCamera(Excess::kPass)).all.done, 18'000);
  for (const Excess excess : {Excess::kPace, Excess::kReuse}) {
    Scenario off = FastCamera(excess);
    off.policy.name = "off";
    EXPECT_EQ(Play(off).all.done, 18'000) << ToString(excess);
  }
}

TEST(Simulate, ACameraOfTheNeededRateIsTheSameHoweverExcessIsHandled) {
  for (const Queue queue : {Queue::kDrop, Queue::kLatest}) {
    std::vector<Outcome> outcomes;
    for (const Excess excess : {Excess::kPass, Excess::kPace}) {
      Scenario scenario = Of("edf", {Camera("a", 10, 60), Camera("b", 7, 40), Camera("c", 3, 90)});
      scenario.jitter = 0.3;
      scenario.queue = queue;
      scenario.policy.elastic = false;
      for (StreamModel& stream : scenario.streams) stream.excess = excess;
      outcomes.push_back(Play(scenario));
    }
    EXPECT_EQ(outcomes[0].all.done, outcomes[1].all.done);
    EXPECT_EQ(outcomes[0].all.latency.mean_ns(), outcomes[1].all.latency.mean_ns());
    EXPECT_EQ(outcomes[0].all.late, outcomes[1].all.late);
  }
}

// Where rates are lowered, calls that come early are answered instead of held.
TEST(Simulate, ReuseFollowsALoweredRate) {
  Scenario scenario = Overload();
  scenario.warmup = seconds{12};
  scenario.length = seconds{60};
  const Scenario held = scenario;
  for (StreamModel& stream : scenario.streams) stream.excess = Excess::kReuse;
  const Outcome outcome = Play(scenario);
  EXPECT_LE(outcome.all.drops, 0.01 * static_cast<double>(outcome.all.frames));
  EXPECT_GT(outcome.all.skipped, 0.2 * static_cast<double>(outcome.all.frames));
  EXPECT_LE(static_cast<double>(outcome.all.late), 0.05 * static_cast<double>(outcome.all.done));
  for (std::size_t i = 0; i < 6; ++i) {
    const double fps = static_cast<double>(outcome.of_group[i].done) / 60 / 5;
    EXPECT_NEAR(fps, kLaw[i / 2], 0.06 * kLaw[i / 2]) << i;
  }
  EXPECT_LT(outcome.all.latency.mean_ns(), 0.9 * Play(held).all.latency.mean_ns());
}

TEST(Simulate, TheHandOffIsDeadTime) {
  Scenario scenario = Of("fifo", {Camera("a", 0, 10), Camera("b", 0, 10)});
  scenario.handoff = FromMs(2);
  const Outcome outcome = Play(scenario);
  EXPECT_NEAR(static_cast<double>(outcome.all.done), 10'000 / 12.0, 2);
}

TEST(Simulate, StreamsComeAndGo) {
  StreamModel early = Camera("early", 10, 5);
  early.stop = seconds{4};
  StreamModel late = Camera("late", 10, 5);
  late.start = seconds{6};
  const Outcome outcome = Play(Of("fifo", {early, late}));
  EXPECT_EQ(outcome.of_group[0].done, 40);
  EXPECT_EQ(outcome.of_group[1].done, 40);
}

TEST(Simulate, DevicesDoNotTouchEachOther) {
  Scenario scenario = Of("fifo", {Camera("a", 10, 60), Camera("b", 10, 60)});
  scenario.devices.push_back({.name = "gpu1"});
  scenario.streams[1].device = 1;
  const Outcome outcome = Play(scenario);
  EXPECT_EQ(outcome.all.drops, 0);
  EXPECT_NEAR(MeanMs(outcome.all.inference), 60, 0.001);
}

TEST(Simulate, TheSameSeedGivesTheSameWhateverTheThreads) {
  Scenario scenario = Of("edf", {});
  scenario.devices[0].sigma = 0.2;
  scenario.devices[0].w = scenario.devices[0].g = 0.3;
  scenario.jitter = 0.1;
  scenario.draws = 16;
  for (int i = 0; i < 4; ++i) {
    StreamModel camera = Camera("cam", 4, 40);
    camera.post = FromMs(35);
    camera.phase.reset();
    scenario.streams.push_back(camera);
  }
  const Outcome one = Play(scenario, 7, 1);
  const Outcome four = Play(scenario, 7, 4);
  const Outcome other = Play(scenario, 8, 1);
  EXPECT_EQ(one.all.latency.mean_ns(), four.all.latency.mean_ns());
  EXPECT_EQ(one.all.latency.Quantile(0.99), four.all.latency.Quantile(0.99));
  EXPECT_EQ(one.steps, four.steps);
  EXPECT_NE(one.all.latency.mean_ns(), other.all.latency.mean_ns());
}

TEST(Simulate, JitterKeepsTheMean) {
  Scenario scenario = Of("off", {Camera("cam", 50, 10)});
  scenario.length = seconds{200};
  scenario.jitter = 0.1;
  const Outcome outcome = Play(scenario);
  EXPECT_NEAR(MeanMs(outcome.all.body), 10, 0.05);
  EXPECT_GT(outcome.all.body.max(), FromMs(12));
}

}  // namespace
}  // namespace stagger::sim
