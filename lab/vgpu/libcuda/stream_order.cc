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

void StreamOrder::Pending(const Lane* lane, std::vector<OpId>* ids) const {
  if (lane->tail != 0) ids->push_back(lane->tail);
  if (lane != &legacy_) return;
  for (const Lane* other : lanes_) {
    if (other->blocking && other->tail != 0) ids->push_back(other->tail);
  }
  ids->insert(ids->end(), abandoned_.begin(), abandoned_.end());
}

void StreamOrder::PendingInAll(std::vector<OpId>* ids) const {
  if (legacy_.tail != 0) ids->push_back(legacy_.tail);
  for (const Lane* lane : lanes_) {
    if (lane->tail != 0) ids->push_back(lane->tail);
  }
  ids->insert(ids->end(), abandoned_.begin(), abandoned_.end());
}

}  // namespace stagger::vgpu
