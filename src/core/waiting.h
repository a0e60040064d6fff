// What a stream has waited for lately: its newest waits, laid over the turns that ran meanwhile.
// Pure; worked out when somebody asks, in time that the bounds of core/history.h bound.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/device_state.h"

namespace stagger::core {

struct WaitingAccount {
  struct Behind {
    ClientId client;  // it may have left since
    Duration time{};
  };
  std::size_t waits = 0;      // that are accounted for
  std::size_t overtaken = 0;  // of them: one that had asked later went first
  Duration waited{};          // in all: deferred + queued
  Duration deferred{};        // a lowered rate held it back
  Duration queued{};          // waited for others: behind + nobody
  // Of `queued`, while others' bodies ran; where several did, each counts for its part. The most
  // comes first.
  std::vector<Behind> behind;
  Duration nobody{};  // while none ran: turns on their way, or a spacing
};

// Of the stream `client`, with these waits. Those from before the device's oldest remembered turn
// are left out.
WaitingAccount AccountOf(const Newest<PastWait, 64>& waits, std::span<const DeviceState> devices,
                         ClientId client);

}  // namespace stagger::core
