#include "core/device_state.h"

namespace stagger::core {

DeviceTimes TimesAfter(const DeviceState& device, Duration elapsed) {
  DeviceTimes times{device.body_time, device.over_time, device.busy_time};
  if (device.in_force == 0) return times;
  const Duration bodies = elapsed * device.in_force;
  times.busy += elapsed;
  times.body += bodies;
  if (device.in_force > device.concurrency) times.over += bodies;
  return times;
}

void Accrue(DeviceState& device, Duration elapsed) {
  if (device.in_force == 0) return;
  const DeviceTimes times = TimesAfter(device, elapsed);
  device.body_time = times.body;
  device.over_time = times.over;
  device.busy_time = times.busy;
  if (device.running.size() < 2) return;
  double occupancies = 0;
  for (const RunningTurn& turn : device.running) occupancies += turn.occupancy;
  for (RunningTurn& turn : device.running) {
    turn.beside += elapsed;
    turn.others += (occupancies - turn.occupancy) * static_cast<double>(elapsed.count());
  }
}

}  // namespace stagger::core
