#include "daemon/clients/rate_window.h"

#include <algorithm>

namespace stagger::daemon {

void RateWindow::Add(TimePoint now, std::int64_t amount) {
  const std::int64_t slot = now.since_epoch / kBucket;
  for (std::int64_t s = std::max(newest_ + 1, slot - kSlots + 1); s <= slot; ++s) {
    amounts_[static_cast<std::size_t>(s % kSlots)] = 0;
  }
  newest_ = std::max(newest_, slot);
  amounts_[static_cast<std::size_t>(newest_ % kSlots)] += amount;
}

void RateWindow::AddOver(TimePoint from, TimePoint now, std::int64_t amount) {
  const Duration whole = now - from;
  from = std::max(from, now - kLongest);
  while (from < now) {
    const TimePoint end = std::min(now, TimePoint{(from.since_epoch / kBucket + 1) * kBucket});
    const double share =
        static_cast<double>((end - from).count()) / static_cast<double>(whole.count());
    Add(from, static_cast<std::int64_t>(static_cast<double>(amount) * share));
    from = end;
  }
}

double RateWindow::PerSecond(TimePoint now, Duration window) const {
  const std::int64_t last = now.since_epoch / kBucket;
  const std::int64_t first = last - std::min(window, kLongest) / kBucket;
  std::int64_t sum = 0;
  for (std::int64_t s = std::max(first, newest_ - kSlots + 1); s <= std::min(last, newest_); ++s) {
    if (s >= 0) sum += amounts_[static_cast<std::size_t>(s % kSlots)];
  }
  const TimePoint from = std::max(TimePoint{first * kBucket}, start_);
  // Over less than a second a rate would be mostly chance.
  const double seconds = std::max(1.0, std::chrono::duration<double>(now - from).count());
  return static_cast<double>(sum) / seconds;
}

}  // namespace stagger::daemon
