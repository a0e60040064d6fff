// Order statistics over finished measurements. Pure.
#pragma once

#include <optional>
#include <vector>

namespace stagger::cli {

struct Distribution {
  double min = 0;
  double mean = 0;
  double p50 = 0;
  double p99 = 0;
  double max = 0;
  friend bool operator==(const Distribution&, const Distribution&) = default;
};

// Nearest rank: the smallest value that at least q of all are no greater than. `sorted` ascending,
// not empty.
double Quantile(const std::vector<double>& sorted, double q);

std::optional<Distribution> Describe(std::vector<double> values);

// The middle value, or the mean of the two middle ones. nullopt when empty.
std::optional<double> Median(std::vector<double> values);

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
  double q1 = 0;  // quartiles, nearest rank
  double q3 = 0;
};
std::optional<Spread> SpreadOf(std::vector<double> values);

}  // namespace stagger::cli
