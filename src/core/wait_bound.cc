#include "core/wait_bound.h"

#include <algorithm>

namespace stagger::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kMargin = milliseconds{250};  // sockets, a loaded machine's scheduler
constexpr Duration kLeast = seconds{1};
constexpr Duration kMost = seconds{60};

}  // namespace

Duration WaitBound(Duration before, Duration others, int k) {
  return std::clamp<Duration>(before + others / k + kMargin, kLeast, kMost);
}

bool WorthTelling(Duration told, Duration bound) {
  const Duration change = bound > told ? bound - told : told - bound;
  return change * 4 > told;
}

}  // namespace stagger::core
