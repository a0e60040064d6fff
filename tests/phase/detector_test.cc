// The detector as short stories: what it says at which call.
#include "phase/detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "synthetic_app.h"

namespace stagger::phase {
namespace {

constexpr std::uint64_t kImage = 1'000'000;

struct Said {
  Verdict verdict;
  Call call;
  State state{};
  std::size_t step = 0;
};

// Feeds what the host did since the last time, in order of entry; copies out, copies in and syncs
// return when the trace says.
class Story : public testing::Test {
 protected:
  Story() : host(&trace, 1) {}

  void Feed() {
    said.clear();
    for (; fed_ < trace.steps.size(); ++fed_) {
      const Step& step = trace.steps[fed_];
      said.push_back({detector.Before(step.call), step.call, detector.state(), fed_});
      const CallKind kind = step.call.kind;
      if (kind == CallKind::kBlockingSync || kind == CallKind::kCopyOut)
        detector.Returned(step.call, step.returned);
    }
  }

  template <typename Do>
  void Repeat(int times, Do&& one) {
    for (int i = 0; i < times; ++i) one();
    Feed();
  }

  // Copy in, launches, copy out, wait.
  void Plain(std::uint64_t kernel = 1, int launches = 50, double us = 200) {
    host.CopyIn(kImage);
    for (int i = 0; i < launches; ++i) host.Launch(kernel * 100 + i % 20, us);
    host.CopyOut(4000);
    host.Sync();
    host.Cpu(200);
  }

  std::vector<std::size_t> Begins() const {
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < said.size(); ++i)
      if (said[i].verdict.begun != 0) at.push_back(i);
    return at;
  }
  std::vector<std::size_t> Ends() const {
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < said.size(); ++i)
      if (said[i].verdict.ended_after != 0) at.push_back(i);
    return at;
  }
  using Indices = std::vector<std::size_t>;

  Trace trace;
  Host host;
  Detector detector;
  std::vector<Said> said;

 private:
  std::size_t fed_ = 0;
};

TEST_F(Story, QueriesToldAtOnceAreJudgedAsOneByOne) {
  for (int i = 0; i < 30; ++i) Plain();
  host.CopyIn(kImage);
  for (int i = 0; i < 10; ++i) host.Launch(100 + i, 200);
  Detector other;
  for (const Step& step : trace.steps) {
    other.Before(step.call);
    const bool waits =
        step.call.kind == CallKind::kBlockingSync || step.call.kind == CallKind::kCopyOut;
    if (waits) other.Returned(step.call, step.returned);
  }
  Feed();
  Call query = trace.steps.back().call;
  query.kind = CallKind::kQuery;
  query.hash = 7;
  EXPECT_EQ(detector.Before(query).ended_after, 0u);
  EXPECT_EQ(detector.Before(query).ended_after, 0u);
  const BodyId ended = detector.Before(query).ended_after;
  EXPECT_NE(ended, 0u);
  query.queries = kQueriesOfAWait;
  EXPECT_EQ(other.Before(query).ended_after, ended);
}

TEST_F(Story, NothingIsKnownAtFirst) {
  EXPECT_EQ(detector.state(), State::kWarmingUp);
  EXPECT_EQ(detector.confidence(), 0);
  EXPECT_EQ(detector.Reason(), "nothing was launched yet");
}

TEST_F(Story, WarmsUpThenLearnsThenIsSure) {
  std::vector<State> states;
  for (int i = 0; i < 14; ++i) {
    Repeat(1, [&] { Plain(); });
    if (states.empty() || states.back() != detector.state()) states.push_back(detector.state());
    if (detector.state() == State::kWarmingUp) {
      EXPECT_TRUE(Begins().empty());
    }
  }
  EXPECT_EQ(states, (std::vector{State::kWarmingUp, State::kLearning, State::kSure}));
  EXPECT_EQ(detector.Reason(), "each inference: 1 copy in, 50 launches; 8 of the last 8 alike");
  EXPECT_DOUBLE_EQ(detector.confidence(), 8.0 / 9);
}

TEST_F(Story, InferencesThatGetFasterAreWarmUp) {
  for (const double us : {60'000.0, 15'000.0, 3'000.0, 800.0}) {
    for (int i = 0; i < 2; ++i) Repeat(1, [&] { Plain(1, 50, us); });
    EXPECT_EQ(detector.state(), State::kWarmingUp) << us;
  }
  Repeat(10, [&] { Plain(); });
  EXPECT_EQ(detector.state(), State::kSure);
}

TEST_F(Story, TheModelThatIsCopiedInFirstHidesNoInferences) {
  host.CopyIn(500'000'000, true);
  Repeat(13, [&] { Plain(); });
  EXPECT_EQ(detector.state(), State::kSure);
  EXPECT_EQ(detector.last_inference().copies_in, 1u);
}

TEST_F(Story, ABodyBeginsAtItsFirstLaunchAndEndsAfterItsLast) {
  Repeat(12, [&] { Plain(); });
  Repeat(1, [&] { Plain(); });
  EXPECT_EQ(Begins(), Indices{1});  // 0 is the copy in
  EXPECT_EQ(Ends(), Indices{50});
  EXPECT_EQ(said[1].verdict.begun, said[50].verdict.ended_after);
  EXPECT_TRUE(said[1].verdict.inference_ended);  // the one before
}

TEST_F(Story, AGraphLaunchIsAWholeBody) {
  const auto frame = [&] {
    host.CopyIn(kImage);
    host.Graph(5, 4000);
    host.CopyOut(4000, true);
  };
  Repeat(12, frame);
  Repeat(1, frame);
  EXPECT_EQ(Begins(), Indices{1});
  EXPECT_EQ(Ends(), Indices{1});
}

TEST_F(Story, WhatIsUnknownLastsFromTheFirstLaunchUntilTheHostWaits) {
  Repeat(14, [&] { Plain(); });
  Repeat(1, [&] { Plain(7, 33); });
  EXPECT_EQ(Begins(), Indices{1});
  EXPECT_EQ(Ends(), Indices{34});  // the copy out
}

TEST_F(Story, AChangeIsLearned) {
  Repeat(14, [&] { Plain(); });
  std::vector<State> states;
  for (int i = 0; i < 14; ++i) {
    Repeat(1, [&] { Plain(7, 33); });
    if (states.empty() || states.back() != detector.state()) states.push_back(detector.state());
  }
  EXPECT_EQ(states, (std::vector{State::kSure, State::kUnsure, State::kSure}));
  EXPECT_EQ(Ends(), Indices{33});  // its last launch
}

TEST_F(Story, APauseInTheMiddleIsNoEnd) {
  const auto frame = [&](double pause) {
    host.CopyIn(kImage);
    for (int i = 0; i < 50; ++i) {
      if (i == 30) host.Cpu(pause);  // and then what also begins the light burst
      host.Launch(100 + i, 200);
    }
    host.CopyOut(4000, true);
    host.Launch(130, 20);
    host.CopyOut(4000, true);
  };
  Repeat(14, [&] { frame(5); });
  Repeat(1, [&] { frame(30'000); });
  EXPECT_EQ(Begins(), Indices{1});
  EXPECT_EQ(Ends(), Indices{50});
}

TEST_F(Story, AWaitEndsABodyThatIsNotOver) {
  Repeat(14, [&] { Plain(); });
  host.CopyIn(kImage);
  for (int i = 0; i < 20; ++i) host.Launch(100 + i, 200);
  host.Sync();
  for (int i = 0; i < 30; ++i) host.Launch(100 + i % 20, 200);
  host.CopyOut(4000, true);
  Feed();
  EXPECT_EQ(Ends().front(), 21u);
}

TEST_F(Story, HeavyIsWhatTakesTheDeviceLong) {
  const auto frame = [&] {
    host.CopyIn(kImage);
    for (int i = 0; i < 60; ++i) host.Launch(400 + i, 2);
    host.Sync();
    for (int i = 0; i < 4; ++i) host.Launch(500 + i, 5000);
    host.CopyOut(4000, true);
  };
  Repeat(14, frame);
  Repeat(1, frame);
  EXPECT_EQ(Begins(), Indices{62});
  EXPECT_EQ(Ends(), Indices{65});
}

TEST_F(Story, EachHeavyBurstIsABodyWhereTheHostWaitsBetween) {
  const auto frame = [&] {
    host.CopyIn(kImage);
    for (int i = 0; i < 40; ++i) host.Launch(400 + i, 500);
    host.CopyOut(400, true);
    host.Launch(450, 30);
    host.CopyOut(400, true);
    for (int i = 0; i < 20; ++i) host.Launch(500 + i, 500);
    host.CopyOut(4000, true);
  };
  Repeat(14, frame);
  Repeat(1, frame);
  EXPECT_EQ(Begins(), (Indices{1, 44}));
  EXPECT_EQ(Ends(), (Indices{40, 63}));
  EXPECT_EQ(
      detector.Reason(),
      "each inference: 1 copy in, 40 launches in the heaviest of 2 heavy bursts, then 1 light "
      "burst; 9 of the last 9 alike");
}

TEST_F(Story, WhatFollowsTheBodyBeforeTheFirstWaitIsCutOff) {
  const auto frame = [&] {
    host.CopyIn(kImage);
    for (int i = 0; i < 40; ++i) host.Launch(400 + i, 500);
    for (int round = 0; round < 4; ++round) {
      host.Launch(600, 100);
      host.CopyOut(400, true);
    }
  };
  Repeat(14, frame);
  Repeat(1, frame);
  EXPECT_EQ(Begins(), Indices{1});
  EXPECT_EQ(Ends(), Indices{40});
}

TEST_F(Story, WhatFollowsTheBodysEndAndIsNotLightIsAnotherBody) {
  const auto frame = [&](bool more) {
    host.CopyIn(kImage);
    for (int i = 0; i < 40; ++i) host.Launch(400 + i, 500);
    host.Launch(600, 100);  // post-processing
    if (more) {
      host.Launch(600, 100);
      host.Launch(700, 5000);
      host.Launch(600, 100);
    }
    host.CopyOut(400, true);
    for (int round = 0; round < 3; ++round) {
      host.Launch(600, 100);
      host.CopyOut(400, true);
    }
  };
  Repeat(14, [&] { frame(false); });
  ASSERT_EQ(detector.state(), State::kSure);
  Repeat(1, [&] { frame(true); });
  EXPECT_EQ(Begins(), (Indices{1, 43}));
  EXPECT_EQ(Ends(), (Indices{40, 45}));  // the body's last launch, the copy out
  EXPECT_NE(said[43].verdict.begun, said[1].verdict.begun);
  EXPECT_EQ(said[45].verdict.ended_after, said[43].verdict.begun);
}

TEST_F(Story, ALabelEndsTheBodiesOfAllContexts) {
  Repeat(14, [&] { Plain(); });
  std::vector<BodyId> begun;
  for (const std::uint64_t context : {7, 8}) {
    host.context = context;
    host.CopyIn(kImage);
    host.Launch(900, 200);
    host.Launch(901, 200);
    Feed();
    begun.push_back(said[Begins().at(0)].verdict.begun);
  }
  host.LabelBegin();
  host.context = 7;
  host.Launch(900, 200);
  host.context = 8;
  host.Launch(900, 200);
  Feed();
  EXPECT_EQ(said[0].verdict.ended_before, begun[0]);
  EXPECT_EQ(said[1].verdict.ended_before, 0u);
  EXPECT_EQ(said[2].verdict.ended_before, begun[1]);
}

TEST_F(Story, AModelThatGrowsStaysGatedWhileItIsLearned) {
  // By so little that it is one pattern still, by so much that it is another.
  int launches = 50;
  for (const int grown : {55, 90}) {
    Repeat(20, [&] { Plain(1, launches); });
    ASSERT_EQ(detector.state(), State::kSure);
    for (int i = 0; i < 20; ++i) {
      Repeat(1, [&] { Plain(1, grown); });
      BodyId open = 0;
      for (const Said& one : said) {
        if (one.verdict.begun != 0) open = one.verdict.begun;
        if (one.call.kind == CallKind::kLaunch) {
          EXPECT_NE(open, 0u) << i;
        }
        if (one.verdict.ended_after != 0) {
          EXPECT_EQ(one.verdict.ended_after, open);
          // As the agent does: of each part of the burst.
          detector.BodyMeasured(open, FromMs(0.2 * grown));
          open = 0;
        }
      }
      EXPECT_EQ(open, 0u);
    }
    EXPECT_EQ(Begins(), Indices{1});
    EXPECT_EQ(Ends(), Indices{static_cast<std::size_t>(grown)});
    EXPECT_EQ(detector.state(), State::kSure);
    launches = grown;
  }
}

TEST_F(Story, WhatFollowsTheBodysEndInAnAppThatNeverWaitsIsMarked) {
  const auto frame = [&](bool more) {
    for (int i = 0; i < 70; ++i) host.Launch(1000 + i, 100);
    if (more)
      for (int i = 0; i < 3; ++i) host.Launch(700 + i, 100);
    host.Cpu(9000);
  };
  Repeat(60, [&] { frame(false); });
  ASSERT_EQ(detector.state(), State::kSure);
  Repeat(1, [&] { frame(true); });
  EXPECT_EQ(Begins(), (Indices{0, 70}));
  EXPECT_EQ(Ends(), Indices{69});
  for (std::size_t i = 70; i < 73; ++i) EXPECT_EQ(said[i].verdict.marked, said[70].verdict.begun);
  EXPECT_TRUE(detector.GivenBack(said[70].verdict.begun));
  Repeat(1, [&] { frame(false); });
  EXPECT_EQ(Begins(), Indices{0});
}

TEST_F(Story, AnAppThatNeverWaitsIsFoundThoughACopyReturnsLate) {
  int frames = 0;
  const auto frame = [&] {
    host.CopyIn(kImage);
    for (int i = 0; i < 21; ++i) host.Launch(1000 + i, 2000);
    host.CopyOut(4000);
    if (++frames % 2 == 0) trace.steps.back().returned = host.now() + std::chrono::microseconds{30};
    host.Cpu(40);
  };
  Repeat(20, frame);
  Repeat(1, frame);
  EXPECT_EQ(Begins().size(), 1U) << detector.Reason();
}

TEST_F(Story, AMeasuredTimeCountsMoreThanAnEstimate) {
  Repeat(8, [&] { Plain(); });
  const auto frame = [&] {
    host.CopyIn(kImage);
    for (int i = 0; i < 20; ++i) host.Launch(400 + i, 100);
    host.CopyOut(4000, true);
  };
  for (int i = 0; i < 14; ++i) {
    Repeat(1, frame);
    for (const Said& one : said) detector.BodyMeasured(one.verdict.ended_after, FromMs(0.05));
  }
  Repeat(1, frame);
  EXPECT_TRUE(Begins().empty());  // not worth a turn
}

TEST_F(Story, LittleWorkIsLeftAlone) {
  const auto frame = [&] {
    host.CopyIn(kImage);
    host.Launch(3, 20);
    host.CopyOut(4000, true);
    host.Cpu(30'000);
  };
  Repeat(400, frame);
  EXPECT_NE(detector.state(), State::kSure);
  Repeat(20, frame);
  EXPECT_TRUE(Begins().empty());
}

TEST_F(Story, PollingIsAWait) {
  const auto frame = [&] {
    for (int i = 0; i < 40; ++i) host.Launch(400 + i, 200);
    host.Poll(9);
  };
  Repeat(20, frame);
  Repeat(1, frame);
  EXPECT_EQ(Begins(), Indices{0});
  EXPECT_EQ(Ends(), Indices{39});
}

TEST_F(Story, AnotherThreadsWaitEndsWhatIsUnknown) {
  Repeat(14, [&] { Plain(); });
  host.CopyIn(kImage);
  for (int i = 0; i < 10; ++i) host.Launch(900 + i, 200);
  Feed();
  const BodyId body = said[1].verdict.begun;
  ASSERT_NE(body, 0u);
  Call wait{.kind = CallKind::kBlockingSync, .context = 7, .thread = 99, .at = host.now()};
  EXPECT_EQ(detector.Before(wait).ended_after, body);
  EXPECT_EQ(detector.Before(wait).ended_after, 0u);
}

TEST_F(Story, LabelsSayWhatAnInferenceIs) {
  const auto call = [&] {
    host.LabelBegin();
    for (int part = 0; part < 2; ++part) {
      host.CopyIn(kImage);
      for (int i = 0; i < 30; ++i) host.Launch(100 * (part + 1) + i, 200);
      host.CopyOut(4000, true);
    }
    host.LabelEnd();
  };
  Repeat(15, call);
  EXPECT_EQ(detector.inferences(), 15u);
  EXPECT_EQ(detector.last_inference().bodies, 2u);
}

TEST_F(Story, AnInferenceIsLookedBackAt) {
  Repeat(14, [&] {
    host.Cpu(3000);
    Plain();
  });
  const Inference& last = detector.last_inference();
  EXPECT_EQ(last.copies_in, 1u);
  EXPECT_EQ(last.launches, 50u);
  EXPECT_EQ(last.bodies, 1u);
  EXPECT_LT(last.begin, last.body_begin);
  EXPECT_LT(last.body_begin + last.body, last.end + FromMs(1));
  EXPECT_NEAR(ToMs(last.body), 10, 1);
}

TEST_F(Story, LaunchesWithoutEndAreCutIntoSlices) {
  // 200 us each, 25 us apart: the device is always behind, and nobody waits.
  Repeat(100'000, [&] {
    host.Launch(1, 200);
    host.Cpu(20);
  });
  EXPECT_EQ(detector.state(), State::kLearning);
  const Indices begins = Begins();
  ASSERT_GE(begins.size(), 3u);
  EXPECT_EQ(begins[1] - begins[0], 64u);
  EXPECT_EQ(said[begins[1]].verdict.ended_before, said[begins[0]].verdict.begun);
  // The first launch of a burst's first slice is not marked: perhaps somebody waits soon.
  EXPECT_EQ(said[begins[0] + 1].verdict.marked, 0u);
  EXPECT_EQ(said[begins[1] + 1].verdict.marked, said[begins[1]].verdict.begun);

  // Measured, it takes as many launches as fill 10 ms.
  const BodyId measured = said[begins.back()].verdict.ended_before;
  detector.BodyMeasured(measured, std::chrono::microseconds{64 * 200});
  Repeat(1000, [&] { host.Launch(1, 200); });
  const Indices later = Begins();
  ASSERT_GE(later.size(), 3u);
  EXPECT_EQ(later[2] - later[1], 50u);
}

TEST_F(Story, ABodyGivenBackBeginsAnewWithTheNextLaunch) {
  Repeat(100'000, [&] {
    host.Launch(1, 200);
    host.Cpu(20);
  });
  const BodyId open = said[Begins().back()].verdict.begun;
  EXPECT_FALSE(detector.GivenBack(open + 1));
  EXPECT_TRUE(detector.GivenBack(open));
  EXPECT_FALSE(detector.GivenBack(open));
  Repeat(2, [&] { host.Launch(1, 200); });
  EXPECT_EQ(said[0].verdict.begun, open + 1);
  EXPECT_EQ(said[0].verdict.ended_before, 0u);
  EXPECT_EQ(said[1].verdict.begun, 0u);
}

TEST_F(Story, WhoWaitsIsNotCutIntoSlices) {
  Repeat(12, [&] { Plain(1, 300, 20); });
  for (const Said& one : said) {
    EXPECT_EQ(one.verdict.marked, 0u);
    if (one.verdict.begun != 0) {
      EXPECT_EQ(one.verdict.ended_before, 0u);
    }
  }
}

TEST_F(Story, TheClockIsReadWhereItMatters) {
  Repeat(20, [&] { Plain(); });
  ASSERT_EQ(detector.state(), State::kSure);
  const TimePoint before = said.back().call.at;
  const auto needs = [&](CallKind kind, std::uint64_t hash, std::uint64_t bytes = 0) {
    Call call = said.back().call;
    call.kind = kind;
    call.hash = hash;
    call.bytes = bytes;
    call.at = before + std::chrono::milliseconds{1};
    const bool needed = detector.NeedsTime(call);
    detector.Before(call);
    return needed;
  };
  EXPECT_TRUE(needs(CallKind::kCopyIn, 0, kImage)) << "an inference begins";
  EXPECT_FALSE(needs(CallKind::kCopyIn, 0, 64)) << "more of what comes in";
  EXPECT_TRUE(needs(CallKind::kLaunch, 100)) << "a burst begins";
  for (std::uint64_t i = 1; i < 20; ++i) EXPECT_FALSE(needs(CallKind::kLaunch, 100 + i)) << i;
  EXPECT_FALSE(needs(CallKind::kMemset, 0));
  EXPECT_FALSE(needs(CallKind::kCopyIn, 0, 64)) << "small, within a burst";
  EXPECT_TRUE(needs(CallKind::kCopyOut, 0, 4000)) << "the host waits";
}

TEST_F(Story, AThreadThatIsNewNeedsTheTime) {
  Repeat(20, [&] { Plain(); });
  Call call = said.back().call;
  call.thread += 1;
  EXPECT_TRUE(detector.NeedsTime(call));
}

}  // namespace
}  // namespace stagger::phase
