#include "core/sample_window.h"

#include <algorithm>
#include <cmath>

namespace stagger::core {

void SampleWindow::Add(Duration sample) {
  ++count_;
  sum_ += sample;
  total_ += sample;
  if (ring_.size() < kCapacity) {
    if (ring_.empty()) {
      ring_.reserve(kCapacity);
      sorted_.reserve(kCapacity);
    }
    ring_.push_back(sample);
    sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), sample), sample);
    return;
  }
  const Duration oldest = ring_[next_];
  ring_[next_] = sample;
  next_ = (next_ + 1) % kCapacity;
  sum_ -= oldest;

  // The newcomer takes the place of the oldest; only what lies between the two moves by one.
  const auto hole = std::lower_bound(sorted_.begin(), sorted_.end(), oldest);
  const auto place = std::upper_bound(sorted_.begin(), sorted_.end(), sample);
  if (place <= hole) {
    std::move_backward(place, hole, hole + 1);
    *place = sample;
  } else {
    std::move(hole + 1, place, hole);
    *(place - 1) = sample;
  }
}

Duration SampleWindow::min() const { return empty() ? Duration{} : sorted_.front(); }
Duration SampleWindow::max() const { return empty() ? Duration{} : sorted_.back(); }

Duration SampleWindow::mean() const {
  return empty() ? Duration{} : sum_ / static_cast<Duration::rep>(sorted_.size());
}

Duration SampleWindow::Deviation() const {
  if (sorted_.size() < 2) return Duration{};
  const double middle = static_cast<double>(mean().count());
  double squares = 0;
  for (const Duration sample : sorted_) {
    const double off = static_cast<double>(sample.count()) - middle;
    squares += off * off;
  }
  return Duration{std::llround(std::sqrt(squares / static_cast<double>(sorted_.size() - 1)))};
}

Duration SampleWindow::Quantile(double q) const {
  if (empty()) return Duration{};
  // 0.07 * 100 is a hair over 7 in binary; without the slack its rank would be 8.
  const double rank = std::ceil(q * static_cast<double>(sorted_.size()) - 1e-9);
  if (!(rank > 1)) return sorted_.front();
  return sorted_[std::min(static_cast<std::size_t>(rank), sorted_.size()) - 1];
}

}  // namespace stagger::core
