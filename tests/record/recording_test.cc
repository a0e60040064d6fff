#include "record/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "record/chrome_trace.h"

namespace stagger::record {
namespace {

using testing::HasSubstr;

Duration Ms(std::int64_t ms) { return std::chrono::milliseconds{ms}; }

core::EngineConfig Config() {
  core::EngineConfig config;
  config.devices = {{"cpu:0", {0, 1}}, {"gpu:0", {}}};
  config.policy = {.name = "edf", .concurrency = 1, .spacing = Ms(7)};
  config.lease_floor = Ms(100);
  return config;
}

class RecordingTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/stagger-record-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/r.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A story with every kind of event, recorded as it happens.
  void Record() {
    Result<core::Engine> engine = core::Engine::Create(Config());
    ASSERT_TRUE(engine);
    Result<Recorder> recorder = Recorder::Create(path_, Config());
    ASSERT_TRUE(recorder) << recorder.error().message;
    TimePoint now{std::chrono::hours{100}};
    const auto tell = [&](const core::Event& event) {
      now = now + Ms(20);
      const std::vector<core::Action> actions = engine->Step(event, now);
      EXPECT_TRUE(recorder->Add(event, now, actions));
      ++steps_;
    };
    StreamSpec spec;
    spec.name = "a \"b\" \xff";
    spec.required_fps = 12.5;
    spec.deadline = Ms(80);
    spec.weight = 2.25;
    tell(core::ClientJoined{{1}, spec});
    tell(core::ClientJoined{{2}, {}});
    tell(core::WarmupPassed{{1}, 3});
    tell(core::InferenceForwarded{{2}, Ms(33)});
    tell(core::TurnRequested{{1}, {1}, {0}, Ms(1), true});
    tell(core::TurnRequested{{2}, {1}, {0}, Ms(2), true});
    tell(core::TurnReleased{{1}, {1}, Ms(20), Ms(0), Ms(0)});
    tell(core::InferenceEnded{{1}, {0}, Ms(20), Ms(41)});
    tell(core::TurnCancelled{{2}, {1}});
    tell(core::TurnClaimed{{2}, {7}, {1}, Ms(5)});
    tell(core::TurnRequested{{1}, {2}, {0}, Ms(1), true});
    for (int i = 0; i < 6; ++i) tell(core::Tick{});  // its lease ends
    tell(core::PolicySet{{.name = "spaced", .spacing = Ms(30)}});
    tell(core::PolicySet{{.name = "fifo", .auto_concurrency = true}});
    tell(core::TurnRequested{{2}, {9}, {0}, Ms(1), false});
    tell(core::ClientLeft{{2}});
    spec.excess = Excess::kReuse;
    tell(core::ClientJoined{{3}, spec});
    tell(core::ExcessHandled{{3}, 26, 1, true});
  }

  std::string Text() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  std::string path_;
  std::size_t steps_ = 0;
};

TEST_F(RecordingTest, ReplayingDoesTheSameAgain) {
  Record();
  const Result<Recording> recording = Parse(Text());
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_FALSE(recording.value().cut_off);
  EXPECT_EQ(recording.value().steps.size(), steps_);
  const Result<Replayed> replayed = Replay(recording.value());
  ASSERT_TRUE(replayed);
  EXPECT_EQ(replayed.value().steps, steps_);
  EXPECT_GE(replayed.value().actions, 8u);
  if (const auto& difference = replayed.value().first_difference) {
    FAIL() << difference->step << " " << difference->recorded << " " << difference->replayed;
  }
}

TEST_F(RecordingTest, LinesReadAndWrittenAgainAreTheSame) {
  Record();
  const std::string text = Text();
  const Result<Recording> recording = Parse(text);
  ASSERT_TRUE(recording);
  std::string again = text.substr(0, text.find('\n') + 1);
  for (const Step& step : recording.value().steps) again += ToLine(step) + "\n";
  EXPECT_EQ(again, text);
}

TEST_F(RecordingTest, AnotherAnswerIsFound) {
  Record();
  Recording recording = std::move(Parse(Text())).value();
  for (Step& step : recording.steps) {
    for (core::Action& action : step.actions) {
      if (auto* grant = std::get_if<core::Grant>(&action)) grant->lease += Ms(1);
    }
  }
  const Result<Replayed> replayed = Replay(recording);
  ASSERT_TRUE(replayed.value().first_difference);
  EXPECT_EQ(replayed.value().first_difference->step, 4u);
  EXPECT_THAT(replayed.value().first_difference->recorded, HasSubstr("101000000"));
}

TEST_F(RecordingTest, ALineThatIsCutOffEndsIt) {
  Record();
  const std::string text = Text();
  const Result<Recording> recording = Parse(text.substr(0, text.size() - 10));
  ASSERT_TRUE(recording);
  EXPECT_TRUE(recording.value().cut_off);
  EXPECT_EQ(recording.value().steps.size(), steps_ - 1);
  EXPECT_FALSE(Replay(recording.value()).value().first_difference);
}

TEST_F(RecordingTest, WhatIsNoRecordingIsRefusedWithItsLine) {
  EXPECT_THAT(Parse("").error().message, HasSubstr("line 1: no header"));
  EXPECT_THAT(Parse("{}\n").error().message, HasSubstr("line 1: not a step"));
  EXPECT_THAT(Parse("{\"stagger_recording\":99}\n").error().message,
              HasSubstr("expected format 1"));
  Record();
  EXPECT_THAT(Parse(Text() + "{\"at_ns\":1,\"event\":\"dance\"}\n").error().message,
              HasSubstr("no event is called 'dance'"));
}

TEST_F(RecordingTest, ATraceHasEachWaitAndBody) {
  Record();
  const auto trace = ChromeTrace(std::move(Parse(Text())).value());
  std::vector<std::string> seen;
  for (const auto& event : trace["traceEvents"]) {
    seen.push_back(event["name"].get<std::string>() + " " +
                   std::to_string(event.value("ts", 0.0) / 1000).substr(0, 5) + " " +
                   std::to_string(event.value("dur", 0.0) / 1000).substr(0, 4));
  }
  // Steps are 20 ms apart. Client 1 asks in the 5th and is done in the 7th; client 2 then has its
  // turn until it gives it up, so its body is not seen to end.
  EXPECT_THAT(seen, testing::Contains("body 80.00 40.0"));
  EXPECT_THAT(seen, testing::Contains("waits 100.0 20.0"));
  EXPECT_THAT(seen, testing::Contains(testing::StartsWith("lease ended")));
}

TEST_F(RecordingTest, AnOldRecordingIsNotOverwritten) {
  Record();
  const Result<Recorder> again = Recorder::Create(path_, Config());
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("File exists"));
}

TEST_F(RecordingTest, AFullDiskEndsTheRecordingAndNothingElse) {
  // A limit on the file's size fails the write as a full disk does.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = old;
  small.rlim_cur = 1000;
  Result<Recorder> recorder = Recorder::Create(path_, Config());
  ASSERT_TRUE(recorder);
  setrlimit(RLIMIT_FSIZE, &small);
  bool whole = true;
  for (int i = 0; i < 100 && whole; ++i) {
    whole = recorder->Add(core::Tick{}, TimePoint{Ms(i)}, {});
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, before);
  EXPECT_FALSE(whole);
  EXPECT_EQ(recorder->failure(), "File too large");
  EXPECT_FALSE(recorder->Add(core::Tick{}, TimePoint{}, {}));
  // What had been written can be replayed.
  const Result<Recording> recording = Parse(Text());
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_GT(recording.value().steps.size(), 5u);
}

}  // namespace
}  // namespace stagger::record
