#include "lab/legs/percentile.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace stagger::cli {

double Quantile(const std::vector<double>& sorted, double q) {
  assert(!sorted.empty());
  const double rank = std::ceil(q * static_cast<double>(sorted.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

std::optional<Distribution> Describe(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  Distribution result;
  result.min = values.front();
  result.max = values.back();
  result.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  result.p50 = Quantile(values, 0.5);
  result.p99 = Quantile(values, 0.99);
  return result;
}

std::optional<double> Median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

std::optional<Spread> SpreadOf(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  Spread spread;
  spread.median = *Median(values);
  spread.min = values.front();
  spread.max = values.back();
  spread.q1 = Quantile(values, 0.25);
  spread.q3 = Quantile(values, 0.75);
  return spread;
}

}  // namespace stagger::cli
