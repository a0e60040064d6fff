#include "lab/bench/hooks/device_log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace stagger::cli {
namespace {

constexpr std::int64_t kUs = 1000;

TimePoint At(double ms) { return TimePoint{FromMs(ms)}; }

std::string Op(int process, const std::string& kind, const std::string& phase, double begin_ms,
               double end_ms, int result = 0) {
  const auto ns = [](double ms) { return std::to_string(FromMs(ms).count()); };
  std::string line = R"({"event":"op","process":)" + std::to_string(process) +
                     R"(,"pid":7,"op":1,"stream":1,"kind":")" + kind + "\",";
  if (kind == "kernel") line += R"("name":"k","class":")" + phase + R"(","demand":1,)";
  return line + R"("submitted_ns":0,"begin_ns":)" + ns(begin_ms) + R"(,"end_ns":)" + ns(end_ms) +
         R"(,"result":)" + std::to_string(result) + "}\n";
}

Result<std::vector<DeviceBody>> Read(const std::string& text) {
  std::istringstream log(text);
  return ReadBodies(log);
}

TEST(DeviceLog, ABodyLastsUntilTheNextCopyOrPostKernel) {
  const auto bodies =
      Read(R"({"event":"device","name":"x","at_ns":1})"
           "\n" +
           Op(1, "htod", "", 0, 1) + Op(1, "kernel", "body", 1, 5) + Op(2, "kernel", "body", 2, 6) +
           Op(1, "memset", "", 5, 5) + Op(1, "kernel", "body", 5, 9) +
           Op(1, "kernel", "post", 9, 12) + Op(1, "dtoh", "", 12, 13) + Op(1, "htod", "", 13, 14) +
           Op(1, "kernel", "body", 14, 15) + Op(2, "kernel", "body", 6, 20));
  ASSERT_TRUE(bodies) << bodies.error().message;
  ASSERT_EQ(bodies->size(), 3u);
  EXPECT_EQ((*bodies)[0].begin, At(1));
  EXPECT_EQ((*bodies)[0].end, At(9));
  EXPECT_EQ((*bodies)[1].process, 2u);
  EXPECT_EQ((*bodies)[1].end, At(20));
  EXPECT_EQ((*bodies)[2].begin, At(14));
}

TEST(DeviceLog, WhatWasCutOffIsNoBody) {
  const auto bodies = Read(Op(1, "kernel", "body", 0, 5, /*result=*/4));
  ASSERT_TRUE(bodies);
  EXPECT_TRUE(bodies->empty());
}

TEST(DeviceLog, NamesTheLineThatIsNone) {
  EXPECT_EQ(Read(Op(1, "dtoh", "", 0, 1) + "{\"event\":\"op\",\n").error().message,
            "line 2 of the device's log is none");
  EXPECT_EQ(Read("{\"event\":\"op\",\"process\":1}\n").error().message,
            "line 1 of the device's log: an operation without process, begin_ns or end_ns");
}

TEST(Bodies, OverlapIsTheShareOfBodyTimeBesideOthers) {
  // 10 ms alone, 10 ms of two, 10 ms alone: 20 of 40 ms of body time overlap.
  const std::vector<DeviceBody> bodies{{1, At(0), At(20)}, {2, At(10), At(30)}};
  const BodyFigures figures = BodiesWithin(bodies, At(0), At(100), 1);
  EXPECT_DOUBLE_EQ(*figures.overlap_ratio, 0.5);
  EXPECT_DOUBLE_EQ(figures.body_ms->mean, 20);
  EXPECT_DOUBLE_EQ(*BodiesWithin(bodies, At(0), At(100), 2).overlap_ratio, 0);
}

TEST(Bodies, OneAfterAnotherDoNotOverlap) {
  const std::vector<DeviceBody> bodies{{2, At(20), At(30)}, {1, At(0), At(20)}};
  EXPECT_DOUBLE_EQ(*BodiesWithin(bodies, At(0), At(100), 1).overlap_ratio, 0);
}

TEST(Bodies, OfOneProcessDoNotCountTwice) {
  const std::vector<DeviceBody> bodies{{1, At(0), At(20)}, {1, At(10), At(30)}};
  EXPECT_DOUBLE_EQ(*BodiesWithin(bodies, At(0), At(100), 1).overlap_ratio, 0);
}

TEST(Bodies, WhatIsOutsideTheWindowDoesNotCount) {
  // Both overlap before it; within it one of them runs for 5 ms more.
  const std::vector<DeviceBody> bodies{{1, At(0), At(25)}, {2, At(0), At(20)}, {3, At(40), At(90)}};
  const BodyFigures figures = BodiesWithin(bodies, At(20), At(50), 1);
  EXPECT_DOUBLE_EQ(*figures.overlap_ratio, 0);
  EXPECT_DOUBLE_EQ(figures.body_ms->min, 50) << "those that began in it, as long as they took";
  EXPECT_FALSE(BodiesWithin(bodies, At(95), At(99), 1).overlap_ratio);
}

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
    Result<std::vector<DeviceBody>> bodies = ReadBodies(text);
    EXPECT_TRUE(bodies) << (bodies ? "" : bodies.error().message);
    return bodies ? *bodies : std::vector<DeviceBody>{};
  }

 private:
  Log& Op(int pid, const char* kind, const char* of, int begin, int end) {
    std::ostringstream line;
    line << R"({"event":"op","process":)" << pid << R"(,"kind":")" << kind << R"(","class":")" << of
         << R"(","begin_ns":)" << begin * kUs << R"(,"end_ns":)" << end * kUs << "}";
    return Line(line.str());
  }
  std::string text_;
};

double Us(Duration d) { return static_cast<double>(d.count()) / kUs; }
double Us(TimePoint t) { return Us(t.since_epoch); }

TEST(DeviceLog, WhatCameBeforeAndAfterABody) {
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
    log.Copy(1, from - 4000, from - 3990).Copy(2, from, from + 10);
    log.Kernel(1, from, from + 5000).Kernel(2, from + 5100, from + 9900);
  }
  EXPECT_EQ(HandOvers(log.Bodies(), 0).size(), 7u);
  EXPECT_EQ(HandOvers(log.Bodies(), 2).size(), 3u);
  EXPECT_EQ(HandOvers(log.Bodies(), 9).size(), 0u);
}

TEST(DeviceLog, ABodyOfTheSameAppIsNoHandOver) {
  const auto bodies = Log().Kernel(1, 0, 1000).Copy(1, 1100, 1200).Kernel(1, 2000, 3000).Bodies();
  EXPECT_TRUE(HandOvers(bodies, 0).empty());
}

TEST(DeviceLog, AReleaseIsToOneThatHadAskedBefore) {
  const auto turn = [](int pid, int asked, int begun, int over) {
    std::ostringstream line;
    line << R"({"pid":)" << pid << R"(,"asked_ns":)" << asked * kUs << R"(,"begun_ns":)"
         << begun * kUs << R"(,"over_ns":)" << over * kUs << "}\n";
    return line.str();
  };
  // Written as they were given back; the third asked just as the second was over.
  const std::string text = turn(1, 0, 10, 5000) + "no turn\n" + turn(2, 100, 5040, 9000) +
                           turn(1, 8900, 9050, 12000) + turn(1, 12500, 12600, 15000) +
                           turn(2, 13000, 15030, 0);
  const auto releases = [&](int learning) {
    std::istringstream turns(text);
    return Releases(ReadTurns(turns), learning);
  };
  ASSERT_EQ(releases(0).size(), 2u);
  EXPECT_EQ(Us(releases(0)[0]), 40);
  EXPECT_EQ(Us(releases(0)[1]), 30);
  EXPECT_EQ(releases(1).size(), 1u);
}

TEST(DeviceLog, AnAppTellsItsTurnsByItsTruth) {
  std::istringstream truth(
      "frame,start_ns,body_launch_begin_ns,body_launch_end_ns,body_over_ns,end_ns,first_launch,"
      "last_launch\n0,100,200,300,400,500,1,2\nrubbish\n");
  const std::vector<TurnTimes> turns = ReadTruth(truth, 7);
  ASSERT_EQ(turns.size(), 1u);
  EXPECT_EQ(turns[0].process, 7);
  EXPECT_EQ(turns[0].asked.since_epoch.count(), 100);
  EXPECT_EQ(turns[0].begun.since_epoch.count(), 200);
  EXPECT_EQ(turns[0].over.since_epoch.count(), 400);
}

}  // namespace
}  // namespace stagger::cli
