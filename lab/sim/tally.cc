#include "lab/sim/tally.h"

#include <algorithm>
#include <cmath>

namespace stagger::sim {
namespace {

constexpr double kWidth = 0.001;  // of a bucket, relative
const double kPerLog = 1 / std::log1p(kWidth);
constexpr double kLeastNs = 1000;  // all below share the first bucket

std::size_t BucketOf(Duration sample) {
  const double ns = static_cast<double>(sample.count());
  if (ns <= kLeastNs) return 0;
  return 1 + static_cast<std::size_t>(std::log(ns / kLeastNs) * kPerLog);
}

Duration MiddleOf(std::size_t bucket) {
  if (bucket == 0) return Duration{static_cast<Duration::rep>(kLeastNs / 2)};
  const double ns = kLeastNs * std::exp((static_cast<double>(bucket) - 0.5) / kPerLog);
  return Duration{static_cast<Duration::rep>(std::llround(ns))};
}

}  // namespace

void Histogram::Add(Duration sample) {
  min_ = count_ == 0 ? sample : std::min(min_, sample);
  max_ = std::max(max_, sample);
  ++count_;
  sum_ += sample.count();
  const std::size_t bucket = BucketOf(sample);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
}

double Histogram::mean_ns() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

Duration Histogram::Quantile(double q) const {
  if (count_ == 0) return {};
  const auto rank = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_) - 1e-9)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::clamp(MiddleOf(i), min_, max_);
  }
  return max_;
}

void Tally::Merge(const Tally& other) {
  frames += other.frames;
  done += other.done;
  drops += other.drops;
  skipped += other.skipped;
  assigned_mfps += other.assigned_mfps;
  late += other.late;
  inference.Merge(other.inference);
  latency.Merge(other.latency);
  body.Merge(other.body);
  worst_draw_drop_ratio = std::max(worst_draw_drop_ratio, other.worst_draw_drop_ratio);
  draws += other.draws;
  zero_drop_draws += other.zero_drop_draws;
}

void Tally::EndDraw() {
  ++draws;
  if (drops == 0) ++zero_drop_draws;
  worst_draw_drop_ratio = drop_ratio();
}

double Tally::drop_ratio() const {
  return frames == 0 ? 0 : static_cast<double>(drops) / static_cast<double>(frames);
}

}  // namespace stagger::sim
