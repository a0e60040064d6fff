#include "core/device_state.h"

namespace stagger::core {

void Accrue(DeviceState& device, Duration elapsed) {
  if (device.in_force == 0) return;
  const Duration bodies = elapsed * device.in_force;
  device.busy_time += elapsed;
  device.body_time += bodies;
  if (device.in_force > device.concurrency) device.over_time += bodies;
}

}  // namespace stagger::core
