// A recorder that never waits for its file.
#include "record/queued_recorder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/fd.h"

namespace stagger::record {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class QueuedRecorderTest : public testing::Test {
 protected:
  QueuedRecorderTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    reader_ = UniqueFd(ends[0]);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    core::EngineConfig config;
    config.devices = {{"cpu:0", {0}}};
    config.policy.name = "fifo";
    auto recorder = Recorder::Over(fdopen(ends[1], "w"), config);
    EXPECT_TRUE(recorder);
    recorder_.emplace(std::move(recorder).value(), 64);
  }
  // Everything, up to the end of the recorder.
  Recording ReadAll() {
    std::string text;
    std::thread reader([&] {
      char bytes[1024];
      for (ssize_t n = 0; (n = read(reader_.get(), bytes, sizeof bytes)) > 0;)
        text.append(bytes, n);
    });
    drained_ = recorder_->Drain(seconds{30});
    recorder_.reset();
    reader.join();
    auto recording = Parse(text);
    EXPECT_TRUE(recording) << recording.error().message;
    return std::move(recording).value();
  }

  UniqueFd reader_;
  std::optional<QueuedRecorder> recorder_;
  bool drained_ = false;
  TimePoint now_{seconds{1}};
};

TEST_F(QueuedRecorderTest, WritesWhatItIsTold) {
  for (int i = 0; i < 20; ++i, now_ = now_ + milliseconds{1}) {
    EXPECT_TRUE(recorder_->Add(core::Tick{}, now_, {}));
  }
  const Recording recording = ReadAll();
  EXPECT_TRUE(drained_);
  ASSERT_EQ(recording.steps.size(), 20U);
  EXPECT_EQ(recording.steps.back().at, TimePoint{seconds{1}} + milliseconds{19});
}

TEST_F(QueuedRecorderTest, EndsWhereNobodyTakesWhatItWritesAndWhatThereIsHasNoGap) {
  // Nobody reads: the pipe fills, the queue fills, and Add says so without waiting.
  std::size_t taken = 0;
  while (taken < 10'000 && recorder_->Add(core::Tick{}, now_, {})) {
    ++taken;
    now_ = now_ + milliseconds{1};
  }
  ASSERT_LT(taken, 10'000U);
  EXPECT_THAT(recorder_->failure(), testing::HasSubstr("wait for it"));
  EXPECT_FALSE(recorder_->Add(core::Tick{}, now_, {})) << "it has ended for good";
  const Recording recording = ReadAll();
  EXPECT_FALSE(drained_) << "an ended recording is not a whole one";
  EXPECT_FALSE(recording.cut_off);
  ASSERT_EQ(recording.steps.size(), taken);
  for (std::size_t i = 0; i < taken; ++i) {
    EXPECT_EQ(recording.steps[i].at, TimePoint{seconds{1}} + milliseconds{1} * i);
  }
}

}  // namespace
}  // namespace stagger::record
