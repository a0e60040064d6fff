// One change at a time: nothing breaks, little moves.
#include "placement/board.h"

#include <gtest/gtest.h>

#include "lab/sim/random.h"
#include "lab/sim/random_site.h"
#include "planner/clp.h"
#include "planner/make_plan.h"

namespace stagger::placement {
namespace {

Board BoardOf(const PlacementProblem& site, const Plan& plan) {
  Board board(site.devices);
  for (std::uint32_t i = 0; i < site.streams.size(); ++i) {
    board.Add(site.streams[i]);
    EXPECT_TRUE(plan.streams[i].empty() || board.Put(i, plan.streams[i]));
  }
  return board;
}

std::string Fault(const Board& board) {
  return FaultOf({board.needs(), board.devices()}, board.plan()).value_or("");
}

TEST(Board, StreamsThatComeKeepEveryDeviceWithinTheTestAndMoveFew) {
  for (const sim::NamedMix& mix : sim::SiteMixes()) {
    SCOPED_TRACE(mix.name);
    const PlacementProblem site = sim::RandomSite(mix.mix, 120, 7);
    planner::PatternBudget budget;
    budget.prove = false;
    budget.dives = 1;
    Board board = BoardOf(site, planner::MakePlan(site, planner::NewClp, budget).plan);
    sim::Random random(11);
    for (int step = 0; step < 60; ++step) {
      StreamNeed need = site.streams[random.Next() % site.streams.size()];
      need.name = "new" + std::to_string(step);
      need.fps *= 0.6 + random.Uniform();
      std::vector<PlacedOn> before = board.placed();
      const std::vector<MovedStream> moved = board.Place(board.Add(need));
      before.emplace_back();
      ASSERT_EQ(Fault(board), "");
      // What is said to have moved is what moved.
      std::size_t differ = 0;
      for (std::size_t i = 0; i < before.size(); ++i) {
        PlacedOn was = before[i];
        PlacedOn is = board.placed()[i];
        std::ranges::sort(was);
        std::ranges::sort(is);
        differ += was != is ? 1 : 0;
      }
      ASSERT_EQ(moved.size(), differ);
      // The one that came, and two in a hundred of the others.
      ASSERT_LE(moved.size(), 1 + std::max<std::size_t>(1, board.needs().size() / 50));
    }
  }
}

TEST(Board, ADeviceIsClosedWhenItsStreamsFindRoomElsewhere) {
  const StreamNeed need{"a", "a", 10, {}, FromMs(30), {}, {}, 1};
  Board board({{"x", 1, 16}, {"y", 1, 16}});
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(board.Put(board.Add(need), {static_cast<std::uint32_t>(i)}));
  EXPECT_EQ(board.Close(1).size(), 1U);
  EXPECT_EQ(board.devices_used(), 1U);
}

TEST(Board, OneMovesToMakeRoomRatherThanADeviceBeingOpened) {
  Board board({{"x", 1, 10}, {"y", 1, 10}, {"z", 1, 10}});
  const auto add = [&](double memory) {
    const std::uint32_t stream = board.Add({"a", "a", 1, {}, FromMs(10), {}, {}, memory});
    board.Place(stream);
    return stream;
  };
  add(6);
  add(3);  // x: 9 of 10
  add(5);  // y: 5 of 10
  const std::uint32_t last = add(4);
  EXPECT_EQ(board.devices_used(), 2U);
  EXPECT_FALSE(board.placed()[last].empty());
  add(2);  // nowhere as it stands: x has 1 left, y 1
  EXPECT_EQ(Fault(board), "");
}

TEST(Board, AnAbsentDeviceOrAFullOneIsRefused) {
  const StreamNeed need{"a", "a", 10, {}, FromMs(60), {}, {}, 1};
  Board board({{"x", 1, 16}});
  board.Add(need);
  board.Add(need);
  EXPECT_TRUE(board.Put(0, {0}));
  EXPECT_FALSE(board.Put(1, {0}));
  EXPECT_TRUE(board.placed()[1].empty());
  EXPECT_TRUE(board.Place(1).empty());
  EXPECT_EQ(Fault(board), "");
}

TEST(KeepPlan, KeepsWhoStillFitsAndMovesTheOthers) {
  PlacementProblem site = sim::RandomSite(sim::SiteMix::kCameras, 60, 5);
  const Plan plan = planner::MakePlan(site, planner::NewClp).plan;
  site.streams[7].fps *= 2;
  const MadePlan kept = KeepPlan(site, plan);
  EXPECT_EQ(FaultOf(site, kept.plan).value_or(""), "");
  EXPECT_EQ(StreamsPlaced(kept.plan), 60U);
  EXPECT_LE(kept.moved.size(), 3U);
}

}  // namespace
}  // namespace stagger::placement
