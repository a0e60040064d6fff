// How much of a device one stream's bodies fill: its occupancy, 0 < d <= 1. Learned from how much
// bodies slow each other down when several run: while the occupancies of what runs add up to D,
// each gets on at 1 / max(1, D) of its speed alone. What sharing itself costs (caches, switches)
// counts as occupancy too: it is what decides whether running side by side pays.
//
// Until something is known a body counts as filling the device. Pure.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace stagger::core {

class OccupancyEstimate {
 public:
  double value() const { return value_; }
  std::uint32_t samples() const { return samples_; }
  // 0 to 1: one less how far the last estimates missed, of the occupancies there were (about 20
  // bodies back). 0 until eight bodies ran beside others.
  double confidence() const;

  // One body that held its turn for `held`, and would have for `alone` by itself. During `beside`
  // of it others ran; their occupancies added up to `others` on average.
  void Learn(Duration alone, Duration held, Duration beside, double others);

 private:
  double value_ = 1;
  double miss_ = 0;  // mean of |seen - believed| / seen
  std::uint32_t samples_ = 0;
};

}  // namespace stagger::core
