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
  struct Lane {
    bool blocking = true;  // takes part in the legacy stream's barriers
    OpId tail = 0;         // its last operation
  };

  Lane* legacy() { return &legacy_; }
  void Add(Lane* lane) { lanes_.insert(lane); }
  void Remove(Lane* lane);

  // Operation `id` goes to `lane`: appends what must be over before it starts.
  void Append(Lane* lane, OpId id, std::vector<OpId>* after);
  // What must be over for all that was put into `lane` to be over.
  std::vector<OpId> Pending(const Lane* lane) const;
  std::vector<OpId> PendingInAll() const;

 private:
  Lane legacy_;
  std::set<Lane*> lanes_;        // all others
  std::vector<OpId> abandoned_;  // last operations of removed lanes, not yet before a legacy one
};

}  // namespace stagger::vgpu
