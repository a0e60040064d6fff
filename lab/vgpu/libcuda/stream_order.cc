#include "lab/vgpu/libcuda/stream_order.h"

#include <algorithm>

namespace stagger::vgpu {

void StreamOrder::Remove(Lane* lane) {
  // A destroyed stream's work goes on. A context that is synchronised waits for it too, so it is
  // kept even where the legacy stream need not come after it.
  lanes_.erase(lane);
  if (lane->tail > legacy_.tail) abandoned_.push_back(lane->tail);
}

void StreamOrder::Append(Lane* lane, OpId id, std::vector<OpId>* after) {
  if (lane->tail != 0) after->push_back(lane->tail);
  if (lane == &legacy_) {
    for (const Lane* other : lanes_) {
      if (other->blocking && other->tail > legacy_.tail) after->push_back(other->tail);
    }
    after->insert(after->end(), abandoned_.begin(), abandoned_.end());
    abandoned_.clear();
  } else if (lane->blocking && legacy_.tail > lane->tail) {
    after->push_back(legacy_.tail);
  }
  lane->tail = id;
}

std::vector<OpId> StreamOrder::Pending(const Lane* lane) const {
  std::vector<OpId> ids = lane == &legacy_ ? abandoned_ : std::vector<OpId>{};
  if (lane->tail != 0) ids.push_back(lane->tail);
  if (lane != &legacy_) return ids;
  for (const Lane* other : lanes_) {
    if (other->blocking && other->tail != 0) ids.push_back(other->tail);
  }
  return ids;
}

std::vector<OpId> StreamOrder::PendingInAll() const {
  std::vector<OpId> ids = abandoned_;
  if (legacy_.tail != 0) ids.push_back(legacy_.tail);
  for (const Lane* lane : lanes_) {
    if (lane->tail != 0) ids.push_back(lane->tail);
  }
  return ids;
}

}  // namespace stagger::vgpu
