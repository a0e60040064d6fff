#include "core/profile.h"

#include <algorithm>
#include <cmath>

namespace stagger::core {
namespace {

constexpr std::uint64_t kSeen = 8;

}  // namespace

PhaseEstimate EstimateOf(const SampleWindow& samples) {
  PhaseEstimate estimate{samples.mean(), samples.Quantile(0.99), samples.count(), 0};
  if (samples.count() < kSeen) return estimate;
  const double n =
      static_cast<double>(std::min<std::uint64_t>(samples.count(), SampleWindow::kCapacity));
  const double mean = static_cast<double>(samples.mean().count());
  const double half = 1.96 * static_cast<double>(samples.Deviation().count()) / std::sqrt(n);
  // A phase that takes no time takes none for certain.
  estimate.confidence = mean > 0 ? std::clamp(1 - half / mean, 0.0, 1.0) : 1;
  return estimate;
}

Profile ProfileOf(const Stream& stream) {
  Profile profile;
  profile.pre = EstimateOf(stream.pre);
  profile.body = EstimateOf(stream.alone.count() >= kSeen ? stream.alone : stream.body);
  profile.post = EstimateOf(stream.post);
  profile.occupancy = stream.occupancy.value();
  profile.occupancy_confidence = stream.occupancy.confidence();
  profile.overlaps = stream.occupancy.samples();
  return profile;
}

}  // namespace stagger::core
