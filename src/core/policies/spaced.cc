// Starts a fixed time apart, in order of request, whether or not the last body has ended by then:
// the timing control of Suzuki et al. (60 ms for a body of 45).
#include "core/policies.h"

namespace stagger::core {

Decision NextSpaced(const DeviceView& view) {
  if (view.device.waiting.empty()) return {};
  if (view.device.last_grant) {
    const TimePoint next = *view.device.last_grant + view.spec.spacing;
    if (next > view.now) return {.not_before = next};
    return {.next = 0, .reason = Reason::kSpacing};
  }
  return {.next = 0, .reason = view.cause};
}

}  // namespace stagger::core
