#include "lab/vgpu/libcuda/stream_order.h"

#include <algorithm>

namespace stagger::vgpu {

void StreamOrder::Remove(Queue* queue) {
  // A destroyed stream's work goes on. A context that is synchronised waits for it too, so it is
  // kept even where the legacy stream need not come after it.
  queues_.erase(queue);
  if (queue->tail > legacy_.tail) abandoned_.push_back(queue->tail);
}

void StreamOrder::Append(Queue* queue, OpId id, std::vector<OpId>* after) {
  if (queue->tail != 0) after->push_back(queue->tail);
  if (queue == &legacy_) {
    for (const Queue* other : queues_) {
      if (other->blocking && other->tail > legacy_.tail) after->push_back(other->tail);
    }
    after->insert(after->end(), abandoned_.begin(), abandoned_.end());
    abandoned_.clear();
  } else if (queue->blocking && legacy_.tail > queue->tail) {
    after->push_back(legacy_.tail);
  }
  queue->tail = id;
}

std::vector<OpId> StreamOrder::Pending(const Queue* queue) const {
  std::vector<OpId> ids = queue == &legacy_ ? abandoned_ : std::vector<OpId>{};
  if (queue->tail != 0) ids.push_back(queue->tail);
  if (queue != &legacy_) return ids;
  for (const Queue* other : queues_) {
    if (other->blocking && other->tail != 0) ids.push_back(other->tail);
  }
  return ids;
}

std::vector<OpId> StreamOrder::PendingInAll() const {
  std::vector<OpId> ids = abandoned_;
  if (legacy_.tail != 0) ids.push_back(legacy_.tail);
  for (const Queue* queue : queues_) {
    if (queue->tail != 0) ids.push_back(queue->tail);
  }
  return ids;
}

}  // namespace stagger::vgpu
