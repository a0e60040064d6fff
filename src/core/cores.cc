#include "core/cores.h"

#include <algorithm>

namespace stagger::core {

std::size_t CoreShare(const DeviceState& device, std::size_t active) {
  const auto limit = static_cast<std::size_t>(device.concurrency);
  const std::size_t bodies = std::max<std::size_t>(1, std::min(active, limit));
  return std::max<std::size_t>(1, device.cores.size() / bodies);
}

void CoreChooser::Choose(const DeviceState& device, const Seat& seat, std::size_t share,
                         std::vector<std::uint16_t>* chosen) {
  if (share >= device.cores.size()) {
    *chosen = device.cores;
    return;
  }
  candidates_.clear();
  for (const std::uint16_t core : device.cores) candidates_.push_back({0, true, core});
  const auto at = [this](std::uint16_t core) {
    return std::ranges::lower_bound(candidates_, core, {}, &Candidate::core);
  };
  // An expired turn counts as load: its body runs on, whatever its lease says. A turn without
  // cores runs anywhere and so weighs on all alike.
  for (const RunningTurn& turn : device.running) {
    for (const std::uint16_t core : turn.cores) ++at(core)->load;
  }
  for (const std::uint16_t core : seat.last_cores) at(core)->cold = false;

  std::ranges::nth_element(candidates_, candidates_.begin() + static_cast<std::ptrdiff_t>(share));
  chosen->clear();
  for (std::size_t i = 0; i < share; ++i) chosen->push_back(candidates_[i].core);
  std::ranges::sort(*chosen);
}

}  // namespace stagger::core
