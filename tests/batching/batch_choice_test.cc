#include "batching/batch_choice.h"

#include <gtest/gtest.h>

#include <vector>

namespace stagger::batching {
namespace {

using std::chrono::milliseconds;

TimePoint At(int ms) { return TimePoint{milliseconds{ms}}; }

BatchCurve Of(const std::vector<std::pair<int, Duration>>& points) {
  return BatchCurve::Known(points);
}

// Twice as many take half as long again.
const std::vector<std::pair<int, Duration>> kGood{
    {1, milliseconds{10}}, {2, milliseconds{15}}, {4, milliseconds{24}}, {8, milliseconds{40}}};

std::vector<WaitingRequest> Waiting(std::size_t count, TimePoint due = kNever) {
  return std::vector<WaitingRequest>(count, {due, milliseconds{10}, 1, true});
}

std::size_t Taken(const std::vector<WaitingRequest>& waiting, const BatchCurve& curve,
                  BatchLimits limits = {.max_items = 8}) {
  return ChooseBatch(waiting, curve, limits, At(0)).count;
}

TEST(BatchCurve, KnowsWhatRanAndWhatLiesBetween) {
  BatchCurve curve;
  EXPECT_FALSE(curve.Typical(1));
  curve.Add(2, milliseconds{900});
  EXPECT_TRUE(curve.Tried(2));
  EXPECT_FALSE(curve.Typical(2)) << "the first run of a size tells nothing";
  for (const int ms : {20, 22, 90}) curve.Add(2, milliseconds{ms});
  EXPECT_EQ(*curve.Typical(2), milliseconds{22});
  EXPECT_EQ(*curve.Longest(2), milliseconds{90});
  EXPECT_FALSE(curve.Typical(1));
  EXPECT_FALSE(curve.Typical(3));
  for (int i = 0; i < 3; ++i) curve.Add(6, milliseconds{62});
  EXPECT_EQ(*curve.Typical(3), milliseconds{32});
  curve.Add(4, milliseconds{1000});
  EXPECT_EQ(*curve.Typical(3), milliseconds{32}) << "4 was only tried";
  curve.Add(4, milliseconds{12});
  EXPECT_EQ(*curve.Typical(4), milliseconds{12}) << "less than for 2: curves may do that";
  EXPECT_EQ(*curve.Typical(5), milliseconds{37});
  EXPECT_EQ(curve.points().size(), 3U);
}

TEST(BatchCurve, WhatWasSeenLongAgoIsNotFresh) {
  BatchCurve curve;
  for (int i = 0; i < 3; ++i) curve.Add(2, milliseconds{9});
  EXPECT_TRUE(curve.Fresh(2));
  for (int i = 0; i < 1000; ++i) curve.Add(1, milliseconds{5});
  EXPECT_FALSE(curve.Fresh(2));
  EXPECT_TRUE(curve.Typical(2)) << "but it is what is known";
  curve.Add(2, milliseconds{9});
  EXPECT_TRUE(curve.Fresh(2)) << "once is enough";
}

TEST(ChooseBatch, OneThatWaitsRunsAtOnce) {
  // However much a batch would gain, and however long its deadline: nobody waits for company.
  EXPECT_EQ(Taken(Waiting(1, At(10'000)), Of(kGood)), 1U);
}

TEST(ChooseBatch, TakesWhatWaitsUpToTheLargest) {
  const BatchCurve curve = Of(kGood);
  EXPECT_EQ(Taken(Waiting(2), curve), 2U);
  EXPECT_EQ(Taken(Waiting(3), curve), 3U);
  EXPECT_EQ(Taken(Waiting(8), curve), 8U);
  EXPECT_EQ(Taken(Waiting(20), curve), 8U);
  EXPECT_EQ(Taken(Waiting(20), curve, {.max_items = 4}), 4U);
  EXPECT_EQ(Taken(Waiting(20), curve, {.max_items = 1}), 1U);
  EXPECT_EQ(ChooseBatch(Waiting(3), curve, {.max_items = 8}, At(0)).items, 3);
}

TEST(ChooseBatch, WithoutAGainItLeavesThemAlone) {
  EXPECT_EQ(Taken(Waiting(8), Of({{1, milliseconds{10}},
                                  {2, milliseconds{20}},
                                  {4, milliseconds{39}},
                                  {8, milliseconds{76}}})),
            1U);
}

TEST(ChooseBatch, TheFastestPerItemNotTheLargest) {
  EXPECT_EQ(Taken(Waiting(8), Of({{1, milliseconds{10}},
                                  {2, milliseconds{30}},  // worse than one by one
                                  {4, milliseconds{20}},
                                  {8, milliseconds{60}}})),
            4U);
}

TEST(ChooseBatch, NobodyMissesADeadlineThatOneByOneWouldMeet) {
  std::vector<WaitingRequest> waiting = Waiting(8, At(500));
  waiting[0].due = At(20);
  EXPECT_EQ(Taken(waiting, Of(kGood)), 2U) << "15 ms or 19.5 for three, with margin for none";
  waiting[0].due = At(12);
  EXPECT_EQ(Taken(waiting, Of(kGood)), 1U);
  waiting[0].due = At(5);
  EXPECT_EQ(Taken(waiting, Of(kGood)), 8U) << "that one is late anyway";
}

TEST(ChooseBatch, OthersThatAreDueSoonAreNotHeldUp) {
  std::vector<WaitingRequest> waiting = Waiting(6, At(500));
  waiting[1] = {At(30), milliseconds{12}, 1, false};  // of another model; in time if 15 ms precede
  EXPECT_EQ(Taken(waiting, Of(kGood)), 2U);
  waiting[1].due = At(23);
  EXPECT_EQ(Taken(waiting, Of(kGood)), 1U);
  // Nor those that are not there yet.
  EXPECT_EQ(Taken(Waiting(8), Of(kGood), {.max_items = 8, .patience = milliseconds{25}}), 4U);
}

TEST(ChooseBatch, CountsItemsNotRequests) {
  std::vector<WaitingRequest> waiting = Waiting(4);
  waiting[1] = {kNever, milliseconds{40}, 4, true};
  waiting[2] = {kNever, milliseconds{60}, 6, true};
  const BatchChoice choice = ChooseBatch(waiting, Of(kGood), {.max_items = 8}, At(0));
  EXPECT_EQ(choice.count, 2U);
  EXPECT_EQ(choice.items, 5);
}

TEST(ChooseBatch, TriesSizesItDoesNotKnowWhereTimeAllows) {
  BatchCurve curve;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Taken(Waiting(8), curve), 1U) << "what one takes comes first";
    curve.Add(1, milliseconds{10});
  }
  const BatchLimits limits{.max_items = 8, .saturated = true};
  EXPECT_EQ(Taken(Waiting(8), curve), 1U) << "no need to know";
  std::vector<WaitingRequest> late = Waiting(8);
  late[7].due = At(79);
  EXPECT_EQ(Taken(late, curve), 2U) << "one by one is too late";
  // Two together may take as long as one by one and a quarter, and one of them again.
  EXPECT_EQ(Taken(Waiting(2, At(34)), curve, limits), 1U);
  EXPECT_EQ(Taken(Waiting(2, At(36)), curve, limits), 2U);
  for (const std::size_t size : {2U, 4U, 8U}) {
    for (int i = 0; i < 3; ++i) {
      const BatchChoice choice = ChooseBatch(Waiting(8), curve, limits, At(0));
      EXPECT_TRUE(choice.trial);
      EXPECT_EQ(choice.count, size);
      curve.Add(choice.items, choice.items * milliseconds{10});
    }
  }
  EXPECT_EQ(Taken(Waiting(8), curve, limits), 1U) << "now it knows that nothing is gained";
  for (int i = 0; i < 256; ++i) curve.Add(1, milliseconds{10});
  EXPECT_TRUE(ChooseBatch(Waiting(8), curve, limits, At(0)).trial) << "and looks again";
}

}  // namespace
}  // namespace stagger::batching
