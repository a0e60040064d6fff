// In order of request, at most k at once.
#include "core/policies.h"

namespace stagger::core {

Decision NextFifo(const DeviceView& view) {
  if (view.device.waiting.empty()) return {};
  const auto reason = RoomFor(view.device.waiting.front(), view, view.cause);
  if (!reason) return {};
  return {.next = 0, .reason = *reason};
}

}  // namespace stagger::core
