#include "core/elastic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace stagger::core {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

double Load(const std::vector<RateRequest>& requests, const std::vector<double>& rates) {
  double load = 0;
  for (std::size_t i = 0; i < rates.size(); ++i) load += rates[i] * requests[i].body_s;
  return load;
}

TEST(Elastic, WhatFitsStaysAsAsked) {
  const std::vector<RateRequest> requests{{10, 0, 1, .05}, {4, 0, 1, .1}};
  EXPECT_THAT(ElasticRates(requests, .95), ElementsAre(10, 4));
  EXPECT_TRUE(ElasticRates({}, 1).empty());
}

TEST(Elastic, TwiceTheWeightGivesUpHalfTheShare) {
  // 150 % load: what is given up, 0.5, is shared 4:2:1.
  const std::vector<RateRequest> requests{{10, 0, 1, .05}, {10, 0, 2, .05}, {10, 0, 4, .05}};
  EXPECT_THAT(ElasticRates(requests, 1),
              ElementsAre(DoubleNear(10 - 40. / 7, 1e-9), DoubleNear(10 - 20. / 7, 1e-9),
                          DoubleNear(10 - 10. / 7, 1e-9)));
}

TEST(Elastic, AHeavyStreamAndALightOneGiveTheSameShareOfTheirRates) {
  const std::vector<RateRequest> requests{{1, 0, 1, .02}, {10, 0, 1, .148}};
  EXPECT_THAT(ElasticRates(requests, .75), ElementsAre(DoubleNear(.5, 1e-9), DoubleNear(5, 1e-9)));
}

TEST(Elastic, WhoStaysAtItsMinimumLeavesTheRestToOthers) {
  const std::vector<RateRequest> requests{{10, 8, 1, .05}, {10, 0, 1, .05}, {10, 0, 1, .05}};
  EXPECT_THAT(ElasticRates(requests, 1), ElementsAre(8, DoubleNear(6, 1e-9), DoubleNear(6, 1e-9)));
}

TEST(Elastic, WhereNotEvenTheMinimaFitTheyAreKept) {
  const std::vector<RateRequest> requests{{10, 8, 1, .1}, {10, 20, 1, .1}};
  EXPECT_THAT(ElasticRates(requests, 1), ElementsAre(8, 10));
}

RC_GTEST_PROP(ElasticProperty, FitsOrIsAtItsMinima, ()) {
  const auto number = [](int from, int to) { return *rc::gen::inRange(from, to) / 10.0; };
  std::vector<RateRequest> requests;
  for (int i = *rc::gen::inRange(1, 12); i > 0; --i) {
    requests.push_back({number(1, 600), number(0, 100), number(1, 100), number(1, 50) / 20});
  }
  const double capacity = number(1, 100);
  const std::vector<double> rates = ElasticRates(requests, capacity);
  double asked = 0;
  bool all_least = true;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const RateRequest& request = requests[i];
    const double least =
        std::min(request.fps, std::max(request.min_fps, kLeastShare * request.fps));
    RC_ASSERT(rates[i] >= least - 1e-9);
    RC_ASSERT(rates[i] <= request.fps + 1e-9);
    all_least = all_least && rates[i] <= least + 1e-9;
    asked += request.fps * request.body_s;
  }
  const double load = Load(requests, rates);
  // All of the device is used, and no more, unless there is nothing left to give or to take.
  RC_ASSERT(all_least || std::abs(load - std::min(asked, capacity)) < 1e-6);
}

}  // namespace
}  // namespace stagger::core
