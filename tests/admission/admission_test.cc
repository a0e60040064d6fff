#include "admission/admission.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "admission/edf_device.h"

namespace stagger::admission {
namespace {

Duration Ms(double ms) { return FromMs(ms); }

Task Of(double period_ms, double body_ms) {
  return {Ms(period_ms), Ms(body_ms), Ms(period_ms), {}};
}

TEST(Admission, AgreesWithEveryWorkedExample) {
  std::ifstream file(ADMISSION_VECTORS);
  ASSERT_TRUE(file);
  int rows = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#' || line.rfind("streams,", 0) == 0) continue;
    ++rows;
    const std::string sets = line.substr(0, line.find(','));
    const bool expected = line.substr(line.find(',') + 1, 3) == "yes";
    std::vector<Task> tasks;
    std::istringstream words(sets);
    for (std::string word; words >> word;) {
      const std::size_t colon = word.find(':');
      tasks.push_back(Of(std::stod(word.substr(0, colon)), std::stod(word.substr(colon + 1))));
    }
    const Admission verdict = Admit(tasks);
    EXPECT_EQ(verdict.admitted, expected) << line;
    EXPECT_LE(AdmitLinear(tasks), verdict.admitted) << line;
  }
  EXPECT_EQ(rows, 13);
}

TEST(Admission, SaysWhichDeadlineIsMissedAndBecauseOfWhom) {
  const std::vector<Task> tasks{Of(33, 8), Of(250, 26)};
  const Admission verdict = Admit(tasks);
  EXPECT_FALSE(verdict.admitted);
  EXPECT_EQ(verdict.decided, Admission::Test::kExact);
  EXPECT_EQ(verdict.interval, Ms(33));
  EXPECT_EQ(verdict.demand, Ms(34));
  EXPECT_EQ(verdict.binding, 0u);
  EXPECT_EQ(verdict.blocking, 1u);
}

TEST(Admission, NobodyAlwaysFits) { EXPECT_TRUE(Admit({}).admitted); }

TEST(Admission, ABodyLongerThanItsDeadlineNeverFits) {
  const std::vector<Task> tasks{{Ms(100), Ms(20), Ms(15), {}}};
  const Admission verdict = Admit(tasks);
  EXPECT_FALSE(verdict.admitted);
  EXPECT_EQ(verdict.interval, Ms(15));
}

TEST(Admission, JitterTakesFromTheDeadline) {
  std::vector<Task> tasks{Of(40, 8), Of(250, 32)};
  EXPECT_TRUE(Admit(tasks).admitted);
  tasks[0].jitter = Ms(1);
  EXPECT_FALSE(Admit(tasks).admitted);
  tasks[1].body = Ms(31);
  EXPECT_TRUE(Admit(tasks).admitted);
}

TEST(Admission, ADeadlineBeyondThePeriodLeavesRoomForBlocking) {
  std::vector<Task> tasks{Of(33, 8), Of(250, 26)};
  tasks[0].deadline = Ms(40);
  EXPECT_TRUE(Admit(tasks).admitted);
}

TEST(Admission, AFullDeviceIsNotAnOverloadedOne) {
  const std::vector<Task> full{Of(100, 25), Of(100, 25), Of(100, 50)};
  EXPECT_TRUE(Admit(full).admitted);
  EXPECT_DOUBLE_EQ(Admit(full).utilisation, 1);
  const std::vector<Task> more{Of(100, 25), Of(100, 25), Of(100, 50.001)};
  EXPECT_EQ(Admit(more).decided, Admission::Test::kOverload);
}

TEST(Admission, OneOfNoRateOnlyStandsInTheWay) {
  std::vector<Task> tasks{Of(40, 8), {{}, Ms(32), {}, {}}};
  EXPECT_TRUE(Admit(tasks).admitted);
  EXPECT_DOUBLE_EQ(Admit(tasks).utilisation, 0.2);
  tasks[1].body = Ms(33);
  EXPECT_FALSE(Admit(tasks).admitted);
}

TEST(Admission, TheHighestRateIsOneThatFitsAndNotFarFromOneThatDoesNot) {
  std::vector<Task> tasks{Of(250, 45), Of(33, 8)};
  ASSERT_FALSE(Admit(tasks).admitted);
  const std::optional<double> rate = HighestRate(tasks, 1, true);
  ASSERT_TRUE(rate);
  EXPECT_NEAR(*rate, 1000 / 53.0, 0.2);  // 45 + 8 ms must fit in its period
  EXPECT_LE(*rate, 1000 / 53.0);
  EXPECT_FALSE(HighestRate(tasks, 1, false));  // with its deadline at 33 ms no rate helps
}

// Sets that are neither hopeless nor trivial.
std::vector<Task> AnySet(std::mt19937_64& random) {
  std::uniform_int_distribution<int> count(2, 12);
  std::uniform_real_distribution<double> unit(0, 1);
  const int n = count(random);
  const double load = 0.3 + 0.7 * unit(random);
  std::vector<Task> tasks;
  for (int i = 0; i < n; ++i) {
    const double period = 33 * std::pow(30, unit(random));
    const double body = std::max(0.1, period * load / n * 2 * unit(random));
    Task task = Of(period, std::min(body, 60.0));
    if (unit(random) < 0.5) task.deadline = Ms(period * (0.5 + 0.7 * unit(random)));
    if (unit(random) < 0.3) task.jitter = Ms(period * 0.1 * unit(random));
    tasks.push_back(task);
  }
  return tasks;
}

TEST(AdmissionProperty, WhatIsAdmittedMeetsEveryDeadlineAndWhatIsNotCanMissOne) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> unit(0, 1);
  const char* wanted = std::getenv("ADMISSION_SETS");
  const int sets = wanted != nullptr ? std::atoi(wanted) : 500;
  int admitted = 0, rejected = 0, shown = 0;
  for (int set = 0; set < sets; ++set) {
    const std::vector<Task> tasks = AnySet(random);
    const Admission verdict = Admit(tasks);
    if (verdict.admitted) {
      ++admitted;
      for (int phasing = 0; phasing < 4; ++phasing) {
        std::vector<Body> bodies;
        const std::int64_t end = Ms(4000).count();
        for (const Task& task : tasks) {
          // First all at once and as late as may be, then anyhow.
          const double phase = phasing == 0 ? 0 : unit(random);
          const double late = phasing == 0 ? 1 : unit(random);
          Release(task, static_cast<std::int64_t>(phase * ToMs(task.period) * 1e6),
                  static_cast<std::int64_t>(late * ToMs(task.jitter) * 1e6), end, &bodies);
        }
        ASSERT_EQ(FirstMiss(bodies), std::nullopt) << "set " << set << ", phasing " << phasing;
      }
    } else {
      if (AdmitLinear(tasks)) FAIL() << "the linear test admits set " << set;
      if (!verdict.binding) continue;
      ++rejected;
      if (FirstMiss(WorstCase(tasks, verdict))) ++shown;
    }
  }
  RecordProperty("admitted", admitted);
  RecordProperty("rejected", rejected);
  RecordProperty("shown", shown);
  std::printf("%d sets: %d admitted, %d rejected, of which %d were made to miss\n", sets, admitted,
              rejected, shown);
  EXPECT_GT(admitted, sets / 10);
  EXPECT_GT(rejected, sets / 10);
  EXPECT_GE(shown, 0.95 * rejected);
}

}  // namespace
}  // namespace stagger::admission
