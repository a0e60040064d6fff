// What keeps the loop that grants turns from waiting, part by part.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/loop/log_queue.h"
#include "daemon/loop/loop_steps.h"

namespace stagger::daemon {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using testing::ElementsAre;

TEST(LoopSteps, TellsTheLongestAndABoundOnAllButTheThousandth) {
  LoopSteps steps;
  EXPECT_EQ(steps.measurements().steps, 0U);
  EXPECT_EQ(steps.measurements().cpu_p999, Duration{});
  for (int i = 0; i < 9'990; ++i) steps.Took(microseconds{200}, microseconds{90});
  for (int i = 0; i < 10; ++i) steps.Took(microseconds{5'000}, microseconds{900});
  LoopSteps::Measurements measurements = steps.measurements();
  EXPECT_EQ(measurements.steps, 10'000U);
  EXPECT_EQ(measurements.max, microseconds{5'000});
  EXPECT_EQ(measurements.cpu_max, microseconds{900});
  EXPECT_GT(measurements.p999, microseconds{200});
  EXPECT_LE(measurements.p999, microseconds{225});
  EXPECT_GT(measurements.cpu_p999, microseconds{90});
  EXPECT_LE(measurements.cpu_p999, microseconds{102});
  steps.Took(microseconds{5'000}, microseconds{900});  // the eleventh of 10 001
  measurements = steps.measurements();
  EXPECT_EQ(measurements.p999, microseconds{5'000}) << "no bound is above the longest";
  EXPECT_EQ(measurements.cpu_p999, microseconds{900});
}

TEST(LoopSteps, TakesAnyLength) {
  LoopSteps steps;
  steps.Took(Duration{-1}, Duration{});
  steps.Took(seconds{100'000}, seconds{50});
  EXPECT_EQ(steps.measurements().max, seconds{100'000});
}

// Writes when it is let.
class StuckSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void Let() {
    const std::lock_guard lock(gate_);
    open_ = true;
    changed_.notify_all();
  }
  std::vector<std::string> lines;  // once it has been drained

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    std::unique_lock lock(gate_);
    changed_.wait(lock, [this] { return open_; });
    lines.emplace_back(line.payload.data(), line.payload.size());
  }
  void flush_() override {}

 private:
  std::mutex gate_;
  std::condition_variable changed_;
  bool open_ = false;
};

TEST(LogQueue, NeverWaitsAndSaysHowMuchIsLost) {
  const auto sink = std::make_shared<StuckSink>();
  LogQueue queue(sink, 3);
  const auto log = [&](const std::string& text) {
    queue.log(spdlog::details::log_msg("daemon", spdlog::level::info, text));
  };
  log("first");
  EXPECT_FALSE(queue.Drain(std::chrono::milliseconds{20})) << "it is stuck";
  for (const char* text : {"a", "b", "c", "d", "e"}) log(text);
  // "first" is with the writer by now, or the oldest in the queue.
  const std::size_t lost = queue.lost();
  EXPECT_GE(lost, 2U);
  EXPECT_LE(lost, 3U);
  sink->Let();
  ASSERT_TRUE(queue.Drain(seconds{30}));
  const std::string told = std::to_string(lost) + " lines of this log are lost: nobody read it";
  if (lost == 2) {
    EXPECT_THAT(sink->lines, ElementsAre("first", told, "c", "d", "e"));
  } else {
    EXPECT_THAT(sink->lines, ElementsAre(told, "c", "d", "e"));
  }
}

}  // namespace
}  // namespace stagger::daemon
