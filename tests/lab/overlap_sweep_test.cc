#include "lab/overlap/overlap_sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace stagger::cli {
namespace {

using testing::HasSubstr;

const sim::OverlapModel kT4{38.31, 35.42, 0.182, 0.291, 0.291};

// Probes as that model has them, one of five of them late.
std::vector<Probe> ProbesOf(const sim::OverlapModel& model, double late = 0) {
  std::vector<Probe> probes;
  for (const double offset : SweepOffsets(model.body_ms + model.post_ms)) {
    const auto [first, second] = sim::Overlap(model, offset);
    for (int i = 0; i < 5; ++i) {
      const double more = i == 3 ? late : 0;
      const double body = offset == 0 ? 2 * model.body_ms * (1 + model.sigma) : model.body_ms;
      probes.push_back({offset, {body, first + more}, {body, second + more}});
    }
  }
  return probes;
}

TEST(SweepOffsets, AreThePapersWhereTheInferenceIsLikeThePapers) {
  const auto offsets = SweepOffsets(73.7);
  ASSERT_EQ(offsets.size(), 21u);
  EXPECT_EQ(offsets[1], 5);
  EXPECT_EQ(offsets.back(), 100);
}

TEST(SweepOffsets, GoBeyondTheInferencesLengthElsewhere) {
  for (const double length : {3.0, 40.0, 97.0, 400.0}) {
    const auto offsets = SweepOffsets(length);
    EXPECT_EQ(offsets.size(), 21u);
    EXPECT_EQ(offsets.front(), 0);
    EXPECT_NEAR(offsets.back(), 1.25 * length, 1e-9);
  }
}

TEST(SweepOrder, HasEveryOffsetOnceARoundAndBothFirst) {
  SweepOrder order(5, 4, 1);
  std::map<std::size_t, std::pair<int, int>> seen;  // tries, and how often copy 0 was first
  std::vector<std::size_t> first_round;
  for (int i = 0; i < 20; ++i) {
    const auto next = order.Take();
    ASSERT_TRUE(next);
    if (i < 5) first_round.push_back(next->offset);
    auto& [tries, zero] = seen[next->offset];
    ++tries;
    zero += next->first == 0 ? 1 : 0;
    if (i % 5 == 4) {
      for (const auto& [offset, counts] : seen) EXPECT_EQ(counts.first, i / 5 + 1);
    }
  }
  EXPECT_FALSE(order.Take());
  for (const auto& [offset, counts] : seen) EXPECT_EQ(counts.second, 2) << offset;
  EXPECT_NE(first_round, (std::vector<std::size_t>{0, 1, 2, 3, 4})) << "in no order";
  SweepOrder again(5, 4, 1);
  for (const std::size_t offset : first_round) EXPECT_EQ(again.Take()->offset, offset);
}

TEST(SweepOrder, TriesAgainWhatDidNotWork) {
  SweepOrder order(1, 1, 1);
  const auto next = order.Take();
  order.PutBack(*next);
  EXPECT_EQ(order.left(), 1u);
  EXPECT_EQ(order.Take()->offset, next->offset);
  EXPECT_FALSE(order.Take());
}

TEST(Summarise, RecoversTheModelAndIsNotLedAstrayByALateProbe) {
  const auto findings = Summarise(ProbesOf(kT4, 30), {{38.3, 73.7}});
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_NEAR(findings->fit.model.body_ms, kT4.body_ms, 0.02 * kT4.body_ms);
  EXPECT_NEAR(findings->fit.model.post_ms, kT4.post_ms, 0.02 * kT4.post_ms);
  EXPECT_LT(findings->fit.rmse_ms, 0.1);
  EXPECT_NEAR(findings->slowdown(), 2.36, 0.01);
  EXPECT_FALSE(findings->sharing_pays());
  EXPECT_THAT(ToText(*findings), HasSubstr("Suggested: --concurrency 1\n"));
  nlohmann::ordered_json json;
  AddTo(&json, *findings);
  EXPECT_EQ(json["points"].size(), 21u);
  EXPECT_EQ(json["points"][0]["probes"], 5);
  EXPECT_EQ(json["suggested_concurrency"], 1);
}

TEST(Summarise, SuggestsMoreAtOnceWhereBodiesDoNotFillTheDevice) {
  std::vector<Probe> probes;
  for (const double offset : SweepOffsets(20)) probes.push_back({offset, {12, 22}, {12, 22}});
  const auto findings = Summarise(probes, {{10, 20}});
  ASSERT_TRUE(findings);
  EXPECT_TRUE(findings->sharing_pays());
  EXPECT_THAT(ToText(*findings), HasSubstr("Suggested: --concurrency auto\n"));
}

TEST(Summarise, WantsProbesAtOffsetNull) {
  EXPECT_FALSE(Summarise({}, {}));
  EXPECT_FALSE(Summarise({{5, {1, 2}, {1, 2}}}, {{1, 2}}));
  EXPECT_FALSE(Summarise({{0, {1, 2}, {1, 2}}}, {{1, 2}})) << "one offset fits nothing";
}

}  // namespace
}  // namespace stagger::cli
