// Earliest deadline first, at most k at once. What counts is when the body is due, not the frame:
// between two frames due at the same time, the one with the longer post phase must go first.
#include <algorithm>

#include "core/policies.h"

namespace stagger::core {

Decision NextEdf(const DeviceView& view) {
  const auto& waiting = view.device.waiting;
  if (waiting.empty()) return {};
  // The first of equals: in order of request among bodies due at the same time.
  const auto first = std::ranges::min_element(waiting, {}, &WaitingTurn::body_due);
  const auto index = static_cast<std::size_t>(first - waiting.begin());
  const auto reason = RoomFor(*first, view, index == 0 ? view.cause : Reason::kDeadline);
  if (!reason) return {};
  return {.next = index, .reason = *reason};
}

}  // namespace stagger::core
