// What happened lately, kept so that it can be explained (core/waiting.h, `stagger why`): the
// newest of each kind, and no more. Adding is a copy; nothing is worked out before somebody asks.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/actions.h"

namespace stagger::core {

// The newest `kMost` of what was added. Memory grows with the first of them only.
template <typename T, std::size_t kMost>
class Newest {
 public:
  void Add(const T& one) {
    if (all_.size() < kMost) {
      all_.push_back(one);
    } else {
      all_[next_] = one;
      next_ = (next_ + 1) % kMost;
    }
  }
  std::size_t size() const { return all_.size(); }
  bool full() const { return all_.size() == kMost; }
  // 0 is the newest.
  const T& operator[](std::size_t age) const {
    return all_[(next_ + all_.size() - 1 - age) % all_.size()];
  }

 private:
  std::vector<T> all_;
  std::size_t next_ = 0;  // once full: the oldest
};

// A turn that is over on a device, or that no longer keeps others out.
struct PastTurn {
  ClientId client;
  TimePoint granted;
  TimePoint ended;
};

// A wait that ended with a grant.
struct PastWait {
  DeviceId device;
  TimePoint requested;
  TimePoint granted;
  Duration deferred{};          // of it, how long a lowered rate held it back; it comes first
  std::uint32_t overtaken = 0;  // how often one that had asked later went first
  Reason reason = Reason::kFree;
};

// A rare event of a stream: a lease that ended, a wait that was given up.
struct Incident {
  enum class Kind : std::uint8_t { kExpired, kGaveUp };
  Kind kind = Kind::kExpired;
  TimePoint at;
  Duration after{};  // kExpired: that long after the grant; kGaveUp: after the request
};

}  // namespace stagger::core
