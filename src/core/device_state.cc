#include "core/device_state.h"

namespace stagger::core {

void Accrue(DeviceState& device, Duration elapsed) {
  if (device.in_force == 0) return;
  const Duration bodies = elapsed * device.in_force;
  device.busy_time += elapsed;
  device.body_time += bodies;
  if (device.in_force > device.concurrency) device.over_time += bodies;
  if (device.running.size() < 2) return;
  double demands = 0;
  for (const RunningTurn& turn : device.running) demands += turn.demand;
  for (RunningTurn& turn : device.running) {
    turn.beside += elapsed;
    turn.others += (demands - turn.demand) * static_cast<double>(elapsed.count());
  }
}

}  // namespace stagger::core
