// Nothing is gated. An agent that asked before it heard so must not be kept waiting.
#include "core/policies.h"

namespace stagger::core {

Decision NextOff(const DeviceView& view) {
  if (view.device.waiting.empty()) return {};
  return {.next = 0, .reason = Reason::kPolicyOff};
}

}  // namespace stagger::core
