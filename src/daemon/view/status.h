// The status document (docs/status-api.md): facts of the engine, the ledger, the loop, the devices
// and the plan as one value. To look changes nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "daemon/clients/engine_host.h"
#include "daemon/gpu/mps.h"
#include "daemon/loop/loop_steps.h"
#include "device/devices.h"
#include "device/gpu_watch.h"
#include "documents/status.h"
#include "placement/in_force.h"

namespace stagger::daemon {

struct DaemonFacts {
  std::string socket;
  std::string http;                     // "127.0.0.1:7878"; empty: off
  std::vector<device::Device> devices;  // by DeviceId
  const LoopSteps* steps;
  std::function<std::size_t()> log_lost;  // lines
};

// What the loop copies. All that takes long is left to the threads that read it.
struct Snapshot {
  documents::Status status;                  // without what Complete adds
  std::vector<admission::DeviceLoad> loads;  // by device; empty: nothing is judged
  TimePoint taken;
  device::GpuWatch* gpus = nullptr;                  // null: nothing to look at
  std::vector<std::optional<unsigned>> gpu_numbers;  // by device
  std::shared_ptr<const placement::PlanInForce> plan;

  // Any thread but the loop's: whether all that is here fits, how others see the GPUs used, the
  // plan, totals.
  documents::Status Complete() const;
};

// Loop thread only.
class Status {
 public:
  // `gpus` may be null: nothing to look at.
  Status(const EngineHost* host, DaemonFacts facts, device::GpuWatch* gpus, const Mps* mps,
         const std::shared_ptr<const placement::PlanInForce>* plan)
      : host_(host), facts_(std::move(facts)), gpus_(gpus), mps_(mps), plan_(plan) {}

  // No older than `max_age`; built anew only if the last one is.
  std::shared_ptr<const Snapshot> Latest(Duration max_age, TimePoint now);

 private:
  Snapshot Build(TimePoint now) const;
  documents::Mps MpsFacts(TimePoint now) const;
  std::vector<documents::Fault> Faults(TimePoint now) const;
  documents::Device DeviceAt(DeviceId id, TimePoint now) const;
  documents::Stream StreamOf(ClientId client, const core::Stream& stream,
                             const StreamRecord& record, TimePoint now) const;
  void PutVerdict(ClientId client, const core::Stream& stream, const StreamRecord& record,
                  documents::Stream* out) const;
  void PutForwarding(const StreamRecord& record, documents::Stream* out) const;

  const EngineHost* host_;
  DaemonFacts facts_;
  device::GpuWatch* gpus_;
  const Mps* mps_;
  const std::shared_ptr<const placement::PlanInForce>* plan_;
  std::shared_ptr<const Snapshot> latest_;
};

documents::Policy PolicyOf(const core::PolicySpec& policy);

}  // namespace stagger::daemon
