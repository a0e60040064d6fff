#include "daemon/plan/gpu_measurements.h"

#include <algorithm>
#include <utility>

namespace stagger::daemon {

namespace {

constexpr double kNone = 0.001;  // GB; 0 would be "not known"

// All but what others hold, in GB; 0: not known.
double AvailableTo(const Ledger& ledger, const device::Gpu& gpu, const device::GpuUse& use,
                   bool ours_ran) {
  if (!use.memory_bytes || !use.processes) return 0;
  std::uint64_t ours = 0;
  bool any = false;
  for (const device::GpuProcess& process : *use.processes) {
    if (ledger.FindPid(process.pid) == nullptr) continue;
    if (!process.memory_bytes) return 0;
    ours += *process.memory_bytes;
    any = true;
  }
  // In another PID namespace NVML's numbers are not ours.
  if (ours_ran && !any) return 0;
  const std::uint64_t others = *use.memory_bytes - std::min(ours, *use.memory_bytes);
  const std::uint64_t left = gpu.memory_bytes - std::min(others, gpu.memory_bytes);
  return std::max(static_cast<double>(left) / 1e9, kNone);
}

bool RunsOnlyOn(const core::Stream& stream, DeviceId device) {
  for (std::uint32_t id = 0; id < stream.seats.size(); ++id) {
    if (stream.seats[id].last_done.has_value() != (id == device.value)) return false;
  }
  return device.value < stream.seats.size();
}

}  // namespace

placement::DeviceMeasurements GpuMeasurements::Read(const device::Gpu& gpu,
                                                    const device::GpuUse& use, DeviceId device,
                                                    const core::Engine& engine,
                                                    const Ledger& ledger) {
  placement::DeviceMeasurements measurements;
  std::map<ClientId, Seen> seen;
  for (const auto& [client, record] : ledger.streams()) {
    const auto found = engine.streams().find(client);
    if (found == engine.streams().end() || !RunsOnlyOn(found->second, device)) continue;
    const core::SampleWindow& alone = found->second.alone;
    Seen& last = seen[client] = seen_[client];
    const std::uint64_t bodies = alone.count() - last.bodies;
    if (bodies < kLeastBodies) continue;
    const Duration body = (alone.total() - last.total) / static_cast<Duration::rep>(bodies);
    last = {alone.count(), alone.total()};
    // An executor's turns are for many apps: they say nothing of one.
    if (record.serves.empty()) measurements.apps.push_back({record.name, body});
  }
  seen_ = std::move(seen);
  measurements.available_gb = AvailableTo(ledger, gpu, use, !seen_.empty());
  return measurements;
}

}  // namespace stagger::daemon
