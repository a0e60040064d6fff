// Which CPU cores a body gets, on a device that has cores. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/device_state.h"
#include "core/stream.h"

namespace stagger::core {

// How many cores each body gets while `active` streams use the device: all of them for a lone one,
// an equal share of them for as many as may run at once.
std::size_t CoreShare(const DeviceState& device, std::size_t active);

class CoreChooser {
 public:
  // Writes `share` cores to *chosen, ascending: the least loaded by running turns, and among equals
  // those the stream had last, where its caches are warm. `device.cores` must be ascending.
  void Choose(const DeviceState& device, const Seat& seat, std::size_t share,
              std::vector<std::uint16_t>* chosen);

 private:
  struct Candidate {
    int load;
    bool cold;
    std::uint16_t core;
    auto operator<=>(const Candidate&) const = default;
  };
  std::vector<Candidate> candidates_;  // kept for its memory only
};

}  // namespace stagger::core
