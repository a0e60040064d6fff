// In order of request, at most k at once.
#include "core/policies.h"

namespace stagger::core {

Decision NextFifo(const DeviceView& view) {
  if (view.device.waiting.empty() || view.device.in_force >= view.device.concurrency) return {};
  return {.next = 0, .reason = view.cause};
}

}  // namespace stagger::core
