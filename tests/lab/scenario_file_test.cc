#include "lab/scenario/scenario_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lab/scenario/sim_legs.h"

namespace stagger::cli {
namespace {

std::string Complaint(const std::string& text) {
  const Result<sim::Scenario> scenario = ParseScenario(text, "s.yaml");
  return scenario ? "accepted" : scenario.error().message;
}

// One stream with the given fields besides those it needs.
std::string Stream(const std::string& fields) {
  return "seconds: 1\nstreams: [{name: a, fps: 4, body_ms: 5, " + fields + "}]";
}

TEST(ScenarioFile, ReadsExecutors) {
  const std::string executors =
      "seconds: 1\ndevices: [{name: a}, {name: b}]\nexecutors: [{name: e, device: b, max_batch: 4, "
      "batch_fps: {8: 200, 1: 100}}, {name: f, batch_ms: {1: 3}}]\n";
  const Result<sim::Scenario> scenario =
      ParseScenario(executors + "streams: [{name: a, fps: 4, executor: e}]", "s.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  const sim::ExecutorModel& executor = scenario->executors[0];
  EXPECT_EQ(executor.device, 1U);
  EXPECT_EQ(executor.max_batch, 4);
  EXPECT_EQ(executor.curve,
            (std::vector<std::pair<int, Duration>>{{1, FromMs(10)}, {8, FromMs(40)}}));
  EXPECT_EQ(scenario->executors[1].max_batch, 1);
  EXPECT_EQ(scenario->streams[0].executor, 0U);
  EXPECT_EQ(scenario->streams[0].device, 1U);
  EXPECT_EQ(scenario->streams[0].body, FromMs(10));
  const auto with = [&](const std::string& stream) { return Complaint(executors + stream); };
  EXPECT_THAT(with("streams: [{name: a, fps: 4, executor: g}]"),
              testing::HasSubstr("streams[0].executor: g is not an executor of this file"));
  EXPECT_THAT(with("streams: [{name: a, fps: 4, executor: e, body_ms: 3}]"),
              testing::HasSubstr("streams[0].body_ms: not beside executor"));
  const auto of = [](const std::string& fields) {
    return Complaint("seconds: 1\nexecutors: [{name: e, " + fields + "}]\nstreams: []");
  };
  EXPECT_THAT(of("max_batch: 2"), testing::HasSubstr("expected either batch_ms or batch_fps"));
  EXPECT_THAT(of("batch_ms: {2: 3}"), testing::HasSubstr("no 1; expected what one item takes"));
  EXPECT_THAT(of("batch_ms: {1: 3}, max_batch: 2"), testing::HasSubstr("executors[0].max_batch"));
  EXPECT_THAT(of("batch_ms: [3]"), testing::HasSubstr("expected a map, as in"));
}

TEST(ScenarioFile, TheShippedBatchingScenariosAreWhatBenchShareSimulates) {
  for (const int fps : {4, 10}) {
    const Result<sim::Scenario> scenario = ReadScenario(
        std::string(STAGGER_SCENARIOS) + "/ssd_batched_" + std::to_string(fps) + "fps.yaml");
    ASSERT_TRUE(scenario) << scenario.error().message;
    sim::Scenario one = *scenario;
    one.streams = {one.streams.front()};
    one.streams.front().name = one.streams.front().group;
    EXPECT_EQ(one.streams, SsdCameras(fps).streams);
    one.streams.clear();
    EXPECT_EQ(one.executors, SsdCameras(fps).executors);
    EXPECT_EQ(one.draws, SsdCameras(fps).draws);
    EXPECT_EQ(one.jitter, SsdCameras(fps).jitter);
    EXPECT_EQ(one.length, SsdCameras(fps).length);
    EXPECT_EQ(one.queue, SsdCameras(fps).queue);
    EXPECT_EQ(one.deadline_from, SsdCameras(fps).deadline_from);
  }
}

// The published curve: at least 1.6 times as many streams, at 4 and at 10 fps, whatever the phases.
TEST(MostStreams, BatchesServeMoreOfThePublishedDetector) {
  for (const int fps : {4, 10}) {
    for (const std::uint64_t seed : {1, 2}) {
      sim::Scenario scenario = SsdCameras(fps);
      scenario.length = std::chrono::seconds{15};
      scenario.draws = 3;
      const Result<MostStreams> most = FindMostStreams(scenario, seed, 0);
      ASSERT_TRUE(most) << most.error().message;
      EXPECT_NEAR(most->serial, 97 / fps, 1);
      EXPECT_GE(most->ratio(), 1.6) << fps << " fps: " << most->serial << ", " << most->batched;
      EXPECT_LE(most->batched, 174 / fps + 1);
    }
  }
  sim::Scenario mixed = SsdCameras(4);
  mixed.streams.push_back(mixed.streams.front());
  mixed.streams.back().group = "other";
  EXPECT_FALSE(FindMostStreams(mixed, 1, 0));
}

TEST(ScenarioFile, ReadsEverything) {
  const Result<sim::Scenario> scenario = ParseScenario(R"(
seconds: 60
warmup_seconds: 2
draws: 3
policy: spaced
spacing_ms: 50
concurrency: 2
handoff_ms: 0.2
jitter: 0.03
deadline_from: arrival
queue: latest
devices:
  - {name: a, sigma: 0.1, w: 0.2, g: 0.3, memory_gb: 16}
  - {name: b}
streams:
  - {name: cam, count: 2, fps: 4, phase_ms: [1, 2], pre_ms: 3, body_ms: 38.31, post_ms: 35, app_ms: 27,
     demand: 0.5, deadline_ms: 100, weight: 2, min_fps: 1, device: b, start_s: 1, stop_s: 9}
  - {name: busy, fps: 0, body_ms: 1}
  - {name: slow, period_ms: 2000, body_ms: 1, phase_ms: random}
)",
                                                       "s.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->length, std::chrono::seconds{60});
  EXPECT_EQ(scenario->policy.name, "spaced");
  EXPECT_EQ(scenario->policy.spacing, FromMs(50));
  EXPECT_EQ(scenario->policy.concurrency, 2);
  EXPECT_EQ(scenario->deadline_from, sim::DeadlineFrom::kArrival);
  EXPECT_EQ(scenario->queue, sim::Queue::kLatest);
  EXPECT_EQ(scenario->devices[0].g, 0.3);
  ASSERT_EQ(scenario->streams.size(), 4u);
  const sim::StreamModel& second = scenario->streams[1];
  EXPECT_EQ(second.name, "cam-2");
  EXPECT_EQ(second.group, "cam");
  EXPECT_EQ(second.period, FromMs(250));
  EXPECT_EQ(second.phase, FromMs(2));
  EXPECT_EQ(second.deadline, FromMs(100));
  EXPECT_EQ(second.device, 1u);
  EXPECT_EQ(second.stop, std::chrono::seconds{9});
  EXPECT_EQ(scenario->streams[2].period, Duration{});
  EXPECT_EQ(scenario->streams[2].deadline, Duration{});
  EXPECT_EQ(scenario->streams[2].phase, Duration{});
  EXPECT_EQ(scenario->streams[3].deadline, FromMs(2000));
  EXPECT_EQ(scenario->streams[3].phase, std::nullopt);
}

TEST(ScenarioFile, ACameraMayGiveMoreThanIsNeeded) {
  const Result<sim::Scenario> scenario =
      ParseScenario(Stream("camera_fps: 50, excess: reuse"), "s.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->streams[0].frame_period(), FromMs(20));
  EXPECT_EQ(scenario->streams[0].excess, Excess::kReuse);
  EXPECT_EQ(scenario->streams[0].deadline, scenario->streams[0].period) << "of what is needed";
  EXPECT_EQ(ParseScenario(Stream("camera_fps: 0"), "s.yaml")->streams[0].frame_period(),
            Duration{});
  for (const char* field : {"camera_fps", "excess"}) {
    EXPECT_EQ(Complaint("seconds: 1\nstreams: [{name: a, fps: 0, body_ms: 1, " +
                        std::string(field) + ": pace}]"),
              "s.yaml:2:" + std::string(field[0] == 'c' ? "53" : "49") + ": streams[0]." + field +
                  ": only beside the rate that is needed (fps above 0)");
  }
}

TEST(ScenarioFile, HasDefaults) {
  const Result<sim::Scenario> scenario = ParseScenario(Stream(""), "s.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->policy.name, "edf");
  EXPECT_EQ(scenario->policy.concurrency, 1);
  EXPECT_EQ(scenario->draws, 1);
  EXPECT_EQ(scenario->devices.size(), 1u);
  EXPECT_EQ(scenario->streams[0].name, "a");
  EXPECT_EQ(scenario->streams[0].demand, 1);
}

TEST(ScenarioFile, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(Complaint(""), "s.yaml: empty; expected a map with 'seconds' and 'streams'");
  EXPECT_EQ(Complaint("streams: []"),
            "s.yaml:1:1: seconds: missing; expected how long to simulate");
  EXPECT_EQ(Complaint("seconds: 1\nspeed: 2"),
            "s.yaml:2:1: unknown field 'speed'; known: seconds, warmup_seconds, draws, policy, "
            "spacing_ms, concurrency, demand_limit, handoff_ms, jitter, deadline_from, queue, "
            "overload, devices, executors, streams");
  EXPECT_EQ(Complaint("seconds: 1\nstreams: []"),
            "s.yaml:2:10: streams: expected a list with at least one stream");
  EXPECT_EQ(Complaint("seconds: -1\nstreams: []"),
            "s.yaml:1:10: seconds: -1 is not a time; expected a number > 0");
  EXPECT_EQ(Complaint("seconds: 1\nqueue: all\nstreams: []"),
            "s.yaml:2:8: queue: all; expected drop or latest");
  EXPECT_EQ(
      Complaint("seconds: 1\nconcurrency: 0\nstreams: []"),
      "s.yaml:2:14: concurrency: 0 is not a limit; expected 'auto' or a whole number from 1 to "
      "1024");
  EXPECT_EQ(Complaint("seconds: 1\ndemand_limit: 0.5\nstreams: []"),
            "s.yaml:2:15: demand_limit: 0.5; expected a number from 1 to 64");
  EXPECT_EQ(Complaint("seconds: 1\nconcurrency: auto\ndemand_limit: 1\nstreams: []"),
            "s.yaml:3:15: demand_limit: not beside concurrency 'auto'; expected only one of them");
  EXPECT_EQ(Complaint("seconds: 1\njitter: .nan\nstreams: []"),
            "s.yaml:2:9: jitter: .nan; expected a number from 0 to 2");
  EXPECT_EQ(Complaint("seconds: 1\ndevices: [{name: a}, {name: a}]\nstreams: []"),
            "s.yaml:2:29: devices[1].name: 'a' twice");
}

TEST(ScenarioFile, SaysWhatIsWrongWithAStream) {
  const std::string at = "s.yaml:2:";
  const auto says = [&](const std::string& fields) {
    const std::string complaint = Complaint(Stream(fields));
    EXPECT_EQ(complaint.substr(0, at.size()), at) << complaint;
    return complaint.substr(complaint.find(": ") + 2);
  };
  EXPECT_EQ(says("demand: 1.5"), "streams[0].demand: expected at most 1, the whole device");
  EXPECT_EQ(says("period_ms: 5"), "streams[0].period_ms: expected either fps or period_ms");
  EXPECT_EQ(says("device: x"), "streams[0].device: x is not a device of this file");
  EXPECT_EQ(says("count: 2, phase_ms: [1]"),
            "streams[0].phase_ms: a list of 1; expected one for each of 2 streams");
  EXPECT_EQ(says("start_s: 2, stop_s: 1"), "streams[0].stop_s: expected after start_s");
  EXPECT_EQ(says("fps: 5"), "streams[0]: 'fps' twice");
  EXPECT_EQ(says("excess: drop"), "streams[0].excess: drop; expected 'pace', 'reuse' or 'pass'");
  EXPECT_EQ(says("camera_fps: -1"), "streams[0].camera_fps: -1; expected a number from 0 to 1e+06");
  EXPECT_EQ(Complaint("seconds: 1\nstreams: [{name: a, fps: 4}]"),
            "s.yaml:2:11: streams[0]: no body_ms; expected how long its body takes");
  EXPECT_EQ(Complaint("seconds: 1\nstreams: [{name: a, body_ms: 4}]"),
            "s.yaml:2:11: streams[0]: no fps; expected a rate, or 0: always a frame ready");
}

TEST(ScenarioFile, EveryScenarioOfTheProjectIsOne) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(STAGGER_SCENARIOS)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const Result<sim::Scenario> scenario = ReadScenario(entry.path());
    EXPECT_TRUE(scenario) << scenario.error().message;
  }
  EXPECT_GE(files, 14);
  EXPECT_FALSE(ReadScenario(STAGGER_SCENARIOS));
  EXPECT_FALSE(ReadScenario(STAGGER_SCENARIOS "/none.yaml"));
}

}  // namespace
}  // namespace stagger::cli
