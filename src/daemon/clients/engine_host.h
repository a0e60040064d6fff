// Between wire and engine: messages become events, actions become messages. Which turns are granted
// the engine decides; here streams get unique names and the deadline that their rate implies, turns
// are freed after a GPU's fault, and rates are capped by admission.
// Loop thread only; no I/O but the log. What clients are to be told is for the caller to fetch and
// deliver (TakeOutgoing), after each call: nothing calls back from in here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/engine.h"
#include "daemon/clients/admission_service.h"
#include "daemon/clients/assignments.h"
#include "daemon/clients/ledger.h"
#include "daemon/gpu/gpu_faults.h"
#include "record/queued_recorder.h"
#include "wire/messages.h"

namespace stagger::daemon {

struct Outgoing {
  ClientId to;  // perhaps gone meanwhile
  wire::Message message;
};

class EngineHost {
 public:
  // `gpus`: which of the devices are GPUs. `recorder` may be null.
  static Result<std::unique_ptr<EngineHost>> Create(core::EngineConfig config,
                                                    std::vector<wire::Gpu> gpus,
                                                    AdmissionMode admission,
                                                    record::QueuedRecorder* recorder,
                                                    TimePoint now);

  // What a client that joins is told before all else.
  wire::Welcome WelcomeFor(ClientId client, std::uint64_t features) const {
    return {wire::kProtocolVersion, client, gpus_, wire::AgreedFeatures(features)};
  }
  // The name the stream got: `hello.spec.name` or `fallback`, made unique.
  std::string Join(ClientId client, const wire::Hello& hello, const std::string& fallback,
                   pid_t pid, uid_t uid, std::string command, TimePoint now);
  void Leave(ClientId client, TimePoint now);

  // False: a message that no joined agent may send.
  bool OnMessage(ClientId client, const wire::Message& message, TimePoint now);

  // Error: one line, for the command line to print; nothing has changed then.
  Result<void> SetPolicy(const core::PolicySpec& policy, TimePoint now);

  // From now on streams of that name send their inferences to these executors, and so do those that
  // join with that name later. Each is a socket, or the name of an executor's stream that is here.
  // None: they run them themselves. Error: one line; nothing has changed then.
  Result<void> Assign(const std::string& name, const std::vector<std::string>& executors,
                      std::string reason, TimePoint now);
  // Beside what it was assigned: executors that have its model ready, should none of those serve.
  void SetStandby(const std::string& name, std::vector<std::string> sockets);
  // Of the stream with that name, if its inferences go elsewhere: no more than this; 0: as they
  // need.
  void CapForwarded(const std::string& name, double fps, TimePoint now);
  // Streams of that name stay where they are; one that joins with it later is told nothing.
  void Unassign(const std::string& name) { assignments_.Forget(name); }
  const Assignments& assignments() const { return assignments_; }
  // The name of the executor at that socket, if it is here or KnowExecutors has a name for it, else
  // the socket.
  std::string ExecutorName(const std::string& socket) const;
  // `name` names executors that are no streams; empty: not known.
  void KnowExecutors(std::function<std::string(const std::string& socket)> name) {
    name_executor_ = std::move(name);
  }

  // What has come up for clients since the last call, in the order in which they are to have it.
  // `out` is overwritten.
  void TakeOutgoing(std::vector<Outgoing>* out) {
    out->clear();
    out->swap(outgoing_);
  }

  void Tick(TimePoint now) { Apply(core::Tick{}, ClientId{}, now); }
  TimePoint NextDeadline() const { return engine_.NextDeadline(); }

  const core::Engine& engine() const { return engine_; }
  const Ledger& ledger() const { return ledger_; }
  Ledger& ledger() { return ledger_; }
  const AdmissionService& admission() const { return admission_; }
  const GpuFaults& faults() const { return faults_; }
  // `mps_runs` as GpuFaults has it. `soon`: faults are worth a line in the log once all that they
  // broke have been heard of; then LogFaults.
  void WatchFaults(std::function<bool()> mps_runs, std::function<void()> soon);
  void LogFaults();

 private:
  EngineHost(core::Engine engine, std::vector<wire::Gpu> gpus, AdmissionMode admission,
             std::size_t devices, record::QueuedRecorder* recorder, TimePoint now);
  void Apply(const core::Event& event, ClientId cause, TimePoint now);
  // False: no such device.
  bool OnFault(ClientId client, const wire::Faulted& faulted, TimePoint now);
  bool OnForwarding(ClientId client, const wire::Message& message);
  void LogExpiry(const core::Expire& expire, TimePoint now);
  // The streams that the assignment of that name is for.
  void TellAssigned(const std::string& name);

  core::Engine engine_;
  std::vector<wire::Gpu> gpus_;
  record::QueuedRecorder* recorder_;  // null: nothing is recorded, or no longer
  Ledger ledger_;
  AdmissionService admission_;
  GpuFaults faults_;
  Assignments assignments_;
  std::function<std::string(const std::string&)> name_executor_ = [](const std::string&) {
    return std::string();
  };
  std::function<void()> fault_log_due_ = [] {};
  std::vector<Outgoing> outgoing_;
  std::vector<core::Action> actions_;  // of the step at hand; kept to spare an allocation per turn

  struct ExpiryLog {
    TimePoint last;
    int silent = 0;
  };
  std::map<ClientId, ExpiryLog> expiry_logs_;
};

}  // namespace stagger::daemon
