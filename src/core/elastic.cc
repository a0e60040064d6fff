#include "core/elastic.h"

#include <algorithm>
#include <cstddef>

namespace stagger::core {
namespace {

double Least(const RateRequest& request) {
  return std::min(request.fps, std::max(request.min_fps, kLeastShare * request.fps));
}

}  // namespace

std::vector<double> ElasticRates(std::span<const RateRequest> requests, double capacity) {
  std::vector<double> rates;
  std::vector<bool> pressed(requests.size(), false);  // down to its minimum
  rates.reserve(requests.size());
  double asked = 0;
  for (const RateRequest& request : requests) {
    rates.push_back(request.fps);
    asked += request.fps * request.body_s;
  }
  if (asked <= capacity) return rates;
  // A stream that would go under its minimum stays there, and the others give up more: at most one
  // round per stream.
  for (bool again = true; again;) {
    again = false;
    double load = 0;
    double elasticity = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const RateRequest& request = requests[i];
      load += (pressed[i] ? Least(request) : request.fps) * request.body_s;
      if (!pressed[i]) elasticity += request.fps * request.body_s / request.weight;
    }
    if (elasticity <= 0) break;
    const double give = (load - capacity) / elasticity;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const RateRequest& request = requests[i];
      if (pressed[i]) continue;
      rates[i] = request.fps * (1 - give / request.weight);
      if (rates[i] > Least(request)) continue;
      rates[i] = Least(request);
      pressed[i] = true;
      again = true;
    }
  }
  return rates;
}

}  // namespace stagger::core
