#include "base/clock.h"

#include <ctime>

namespace stagger {

TimePoint Now() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return {std::chrono::seconds{ts.tv_sec} + Duration{ts.tv_nsec}};
}

}  // namespace stagger
