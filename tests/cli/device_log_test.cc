#include "cli/device_log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace stagger::cli {
namespace {

constexpr std::int64_t kUs = 1000;

// Lines as the virtual GPU writes them; times in us.
class Log {
 public:
  Log& Kernel(int pid, int begin, int end, const char* of = "body") {
    return Op(pid, "kernel", of, begin, end);
  }
  Log& Copy(int pid, int begin, int end) { return Op(pid, "htod", "", begin, end); }
  Log& Line(const std::string& line) {
    text_ += line + "\n";
    return *this;
  }
  std::vector<DeviceBody> Bodies() const {
    std::istringstream text(text_);
    return ReadBodies(text);
  }

 private:
  Log& Op(int pid, const char* kind, const char* of, int begin, int end) {
    std::ostringstream line;
    line << R"({"event":"op","pid":)" << pid << R"(,"kind":")" << kind << R"(","class":")" << of
         << R"(","begin_ns":)" << begin * kUs << R"(,"end_ns":)" << end * kUs << "}";
    return Line(line.str());
  }
  std::string text_;
};

double Us(Duration d) { return static_cast<double>(d.count()) / kUs; }
double Us(TimePoint t) { return Us(t.since_epoch); }

TEST(DeviceLog, KernelsWithoutAPauseAreOneBody) {
  const auto bodies = Log()
                          .Copy(1, 0, 10)
                          .Kernel(1, 20, 1000)
                          .Kernel(1, 1100, 2000)
                          .Kernel(1, 2050, 2100, "post")
                          .Kernel(1, 3000, 4000)
                          .Bodies();
  ASSERT_EQ(bodies.size(), 2u);
  EXPECT_EQ(Us(bodies[0].ready), 10);
  EXPECT_EQ(Us(bodies[0].begin), 20);
  EXPECT_EQ(Us(bodies[0].end), 2000);
  EXPECT_EQ(Us(bodies[0].next), 2050);
  EXPECT_EQ(bodies[1].next, kNever);
}

TEST(DeviceLog, OtherLinesArePassedOver) {
  const auto bodies = Log()
                          .Line(R"({"event":"came","pid":1,"at_ns":5})")
                          .Kernel(1, 20, 1000)
                          .Line("{\"event\":\"op\",\"pid\":1,\"ki")
                          .Line("")
                          .Bodies();
  EXPECT_EQ(bodies.size(), 1u);
}

TEST(DeviceLog, AHandOverIsToOneThatWaited) {
  const auto bodies = Log()
                          .Copy(1, 0, 10)
                          .Copy(2, 5, 15)
                          .Kernel(1, 20, 5000)
                          .Kernel(1, 5010, 5020, "post")
                          .Copy(1, 5100, 5110)
                          .Kernel(2, 5100, 10000)
                          .Kernel(1, 10300, 15000)
                          // This one came only when the other was nearly done.
                          .Copy(2, 14900, 14910)
                          .Kernel(2, 15050, 20000)
                          .Bodies();
  const auto found = HandOvers(bodies, 0);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(Us(found[0].gap), 100);
  EXPECT_EQ(Us(found[0].body), 4900);
  EXPECT_EQ(Us(found[1].gap), 300);
}

TEST(DeviceLog, WhileAnAppIsLearnedNothingCounts) {
  Log log;
  for (int i = 0; i < 4; ++i) {
    const int from = i * 10'000;
    log.Kernel(1, from, from + 5000).Kernel(2, from + 5100, from + 9900);
  }
  EXPECT_EQ(HandOvers(log.Bodies(), 0).size(), 7u);
  EXPECT_EQ(HandOvers(log.Bodies(), 2).size(), 3u);
  EXPECT_EQ(HandOvers(log.Bodies(), 9).size(), 0u);
}

TEST(DeviceLog, ABodyOfTheSameAppIsNoHandOver) {
  const auto bodies = Log().Kernel(1, 0, 1000).Kernel(1, 2000, 3000).Bodies();
  EXPECT_TRUE(HandOvers(bodies, 0).empty());
}

}  // namespace
}  // namespace stagger::cli
