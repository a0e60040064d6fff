// The status document (docs/status-api.md): facts of the engine, the ledger, the loop, the devices
// and the plan as one JSON object.
// Loop thread only; the result is a value that other threads may read. To look changes nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/time.h"
#include "daemon/clients/engine_host.h"
#include "daemon/gpu/mps.h"
#include "daemon/loop/loop_steps.h"
#include "device/devices.h"
#include "device/gpu_watch.h"
#include "placement/in_force.h"

namespace stagger::daemon {

struct DaemonFacts {
  std::string socket;
  std::string http;                     // "127.0.0.1:7878"; empty: off
  std::vector<device::Device> devices;  // by DeviceId
  const LoopSteps* steps;
  std::function<std::size_t()> log_lost;  // lines
};

struct Snapshot {
  nlohmann::json status;
  TimePoint taken;
};

class Status {
 public:
  // `gpus` may be null: nothing to look at.
  Status(const EngineHost* host, DaemonFacts facts, device::GpuWatch* gpus, const Mps* mps,
         const placement::PlanInForce* placement)
      : host_(host), facts_(std::move(facts)), gpus_(gpus), mps_(mps), placement_(placement) {}

  // No older than `max_age`; built anew only if the last one is.
  std::shared_ptr<const Snapshot> Latest(Duration max_age, TimePoint now);

 private:
  nlohmann::json Build(TimePoint now) const;
  void PutHardware(const device::Device& device, const std::map<unsigned, device::GpuUse>& uses,
                   nlohmann::json* out) const;
  nlohmann::json DaemonJson() const;
  nlohmann::json MpsJson(TimePoint now) const;
  nlohmann::json Faults(TimePoint now) const;
  nlohmann::json Devices(TimePoint now) const;
  nlohmann::json Admission(std::size_t device) const;
  void PutVerdict(ClientId client, const core::Stream& stream, nlohmann::json* out) const;
  nlohmann::json Streams(TimePoint now) const;
  nlohmann::json PlacementJson(TimePoint now) const;
  nlohmann::json PlaceJson(const placement::PlacedStream& stream, TimePoint now) const;
  bool MovesAtStart(const placement::PlacedStream& stream, const std::string& runs_on) const;
  void PutForwarding(const StreamRecord& record, nlohmann::json* out) const;

  const EngineHost* host_;
  DaemonFacts facts_;
  device::GpuWatch* gpus_;
  const Mps* mps_;
  const placement::PlanInForce* placement_;
  std::shared_ptr<const Snapshot> latest_;
};

// The limit as it was asked for: a number, or "auto".
nlohmann::json ConcurrencyJson(const core::PolicySpec& policy);
nlohmann::json DemandLimitJson(const core::PolicySpec& policy);  // null: none
// As compact text; bytes that are not UTF-8 are replaced.
std::string Dump(const nlohmann::json& status);

// What is assigned, by name: [{"name", "executors", "reason", "for_s"}].
nlohmann::json AssignmentsJson(const EngineHost& host, TimePoint now);

}  // namespace stagger::daemon
