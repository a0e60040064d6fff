#include "core/elastic.h"

#include <algorithm>
#include <cstddef>

namespace stagger::core {
namespace {

double Least(const Demand& demand) {
  return std::min(demand.fps, std::max(demand.min_fps, kLeastShare * demand.fps));
}

}  // namespace

std::vector<double> ElasticRates(std::span<const Demand> demands, double capacity) {
  std::vector<double> rates;
  std::vector<bool> pressed(demands.size(), false);  // down to its minimum
  rates.reserve(demands.size());
  double asked = 0;
  for (const Demand& demand : demands) {
    rates.push_back(demand.fps);
    asked += demand.fps * demand.body_s;
  }
  if (asked <= capacity) return rates;
  // A stream that would go under its minimum stays there, and the others give up more: at most one
  // round per stream.
  for (bool again = true; again;) {
    again = false;
    double load = 0;
    double elasticity = 0;
    for (std::size_t i = 0; i < demands.size(); ++i) {
      const Demand& demand = demands[i];
      load += (pressed[i] ? Least(demand) : demand.fps) * demand.body_s;
      if (!pressed[i]) elasticity += demand.fps * demand.body_s / demand.weight;
    }
    if (elasticity <= 0) break;
    const double give = (load - capacity) / elasticity;
    for (std::size_t i = 0; i < demands.size(); ++i) {
      const Demand& demand = demands[i];
      if (pressed[i]) continue;
      rates[i] = demand.fps * (1 - give / demand.weight);
      if (rates[i] > Least(demand)) continue;
      rates[i] = Least(demand);
      pressed[i] = true;
      again = true;
    }
  }
  return rates;
}

}  // namespace stagger::core
