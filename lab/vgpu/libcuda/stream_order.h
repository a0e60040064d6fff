// What an operation must wait for, by the stream it goes to: the order within a stream, and the
// legacy default stream's barriers. One per context; pure; the driver's lock is held.
//
// Ids rise with every operation of the process, which makes the barriers cheap: a stream whose last
// operation is younger than the legacy stream's has been ordered after that one already, and the
// other way round.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace stagger::vgpu {

using OpId = std::uint64_t;  // from 1

class StreamOrder {
 public:
  struct Queue {
    bool blocking = true;  // takes part in the legacy stream's barriers
    OpId tail = 0;         // its last operation
  };

  Queue* legacy() { return &legacy_; }
  void Add(Queue* queue) { queues_.insert(queue); }
  void Remove(Queue* queue);

  // Operation `id` goes to `queue`: appends what must be over before it starts.
  void Append(Queue* queue, OpId id, std::vector<OpId>* after);
  // What must be over for all that was put into `queue` to be over.
  std::vector<OpId> Pending(const Queue* queue) const;
  std::vector<OpId> PendingInAll() const;

 private:
  Queue legacy_;
  std::set<Queue*> queues_;      // all others
  std::vector<OpId> abandoned_;  // last operations of removed queues, not yet before a legacy one
};

}  // namespace stagger::vgpu
