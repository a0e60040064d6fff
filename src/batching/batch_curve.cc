#include "batching/batch_curve.h"

#include <algorithm>

namespace stagger::batching {
namespace {

constexpr std::size_t kKept = 5;
constexpr std::size_t kEnough = 2;
// What was measured once, perhaps while the machine was busy with something else, is looked at
// again after so many runs of other sizes.
constexpr std::uint64_t kStale = 256;

Duration Median(std::vector<Duration> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Duration Greatest(const std::vector<Duration>& values) { return *std::ranges::max_element(values); }

}  // namespace

BatchCurve BatchCurve::Known(std::span<const std::pair<int, Duration>> points) {
  BatchCurve curve;
  for (const auto& [items, took] : points) curve.points_[items].last.assign(kEnough, took);
  return curve;
}

void BatchCurve::Add(int items, Duration took) {
  const bool first = !Tried(items);
  Samples& samples = points_[items];
  samples.run = ++runs_;
  if (first) return;
  if (samples.last.size() == kKept) samples.last.erase(samples.last.begin());
  samples.last.push_back(took);
}

bool BatchCurve::Fresh(int items) const {
  const auto found = points_.find(items);
  return found != points_.end() && found->second.last.size() >= kEnough &&
         runs_ - found->second.run < kStale;
}

template <typename Of>
std::optional<Duration> BatchCurve::Between(int items, Of of) const {
  const auto known = [](const auto& point) { return !point.second.last.empty(); };
  const auto above = std::find_if(points_.lower_bound(items), points_.end(), known);
  if (above == points_.end()) return std::nullopt;
  if (above->first == items) return of(above->second.last);
  auto below = points_.lower_bound(items);
  while (below != points_.begin() && !known(*std::prev(below))) --below;
  if (below == points_.begin()) return std::nullopt;
  --below;
  const Duration low = of(below->second.last);
  const Duration high = of(above->second.last);
  return low + (high - low) * (items - below->first) / (above->first - below->first);
}

std::optional<Duration> BatchCurve::Typical(int items) const { return Between(items, Median); }

std::optional<Duration> BatchCurve::Longest(int items) const { return Between(items, Greatest); }

std::vector<BatchCurve::Point> BatchCurve::points() const {
  std::vector<Point> points;
  for (const auto& [items, samples] : points_) {
    if (!samples.last.empty()) points.push_back({items, Median(samples.last)});
  }
  return points;
}

}  // namespace stagger::batching
