#include "daemon/clients/engine_host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/try.h"
#include "core/policies.h"
#include "daemon/loop/peer.h"

namespace stagger::daemon {

namespace {

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

constexpr Duration kExpiryLogEvery = std::chrono::seconds{10};

std::string ConcurrencyText(const core::PolicySpec& policy) {
  std::string text = policy.auto_concurrency ? "auto" : std::to_string(policy.concurrency);
  if (policy.demand_limit > 0) text += fmt::format(", demand limit {:g}", policy.demand_limit);
  return text;
}

wire::CoreMask MaskOf(const std::vector<std::uint16_t>& cores) {
  wire::CoreMask mask;
  for (const std::uint16_t core : cores) mask.Set(core);
  return mask;
}

}  // namespace

Result<std::unique_ptr<EngineHost>> EngineHost::Create(core::EngineConfig config,
                                                       std::vector<wire::Gpu> gpus,
                                                       AdmissionMode admission,
                                                       record::QueuedRecorder* recorder,
                                                       TimePoint now) {
  const std::size_t devices = config.devices.size();
  auto engine = STAGGER_TRY(core::Engine::Create(std::move(config)));
  return std::unique_ptr<EngineHost>(
      new EngineHost(std::move(engine), std::move(gpus), admission, devices, recorder, now));
}

EngineHost::EngineHost(core::Engine engine, std::vector<wire::Gpu> gpus, AdmissionMode admission,
                       std::size_t devices, record::QueuedRecorder* recorder, TimePoint now)
    : engine_(std::move(engine)),
      gpus_(std::move(gpus)),
      recorder_(recorder),
      ledger_(devices, now),
      admission_(admission) {}

std::string EngineHost::Join(ClientId client, const wire::Hello& hello, const std::string& fallback,
                             pid_t pid, uid_t uid, std::string command, TimePoint now) {
  std::string name = Printable(hello.spec.name.empty() ? fallback : hello.spec.name);
  if (name.empty()) name = "app";
  if (ledger_.Named(name)) {
    int n = 2;
    while (ledger_.Named(name + "-" + std::to_string(n))) ++n;
    name += "-" + std::to_string(n);
  }
  StreamRecord record{.name = name,
                      .pid = pid,
                      .uid = uid,
                      .command = Printable(std::move(command)),
                      .done = RateWindow(now),
                      .asked_name = Printable(hello.spec.name)};
  const Assignment* assigned = assignments_.Of(record);
  ledger_.Joined(client, std::move(record));
  StreamSpec spec = hello.spec;
  spec.name = name;
  if (spec.deadline == Duration{} && spec.required_fps > 0) {
    spec.deadline = FromMs(1000.0 / spec.required_fps);
  }
  spdlog::info("stream '{}' joined: pid {}, {}", name, pid,
               spec.required_fps > 0 ? fmt::format("{:g} fps required, deadline {:g} ms",
                                                   spec.required_fps, ToMs(spec.deadline))
                                     : std::string("no rate stated"));
  // Before the Config that ends the greeting: the app must know where its first model goes.
  if (assigned != nullptr)
    outgoing_.push_back({client, wire::Assign{assigned->executors, assigned->standby}});
  Apply(core::ClientJoined{client, spec}, client, now);
  return name;
}

void EngineHost::Leave(ClientId client, TimePoint now) {
  const auto stream = engine_.streams().find(client);
  if (stream == engine_.streams().end()) return;
  const core::StreamCounters counters = stream->second.counters;
  if (const StreamRecord* record = ledger_.Find(client)) {
    spdlog::info(
        "stream '{}' left: pid {}, {} done, {} granted, {} ungated, {} warm-up, {} expired, "
        "{} cancelled in {:.1f} s",
        record->name, record->pid, counters.done, counters.granted, counters.ungated,
        counters.warmup, counters.expired, counters.cancelled,
        ToMs(now - stream->second.joined) / 1000);
    std::vector<DeviceId> used;
    const auto& seats = stream->second.seats;
    for (std::uint32_t id = wire::kCpuDevice.value + 1; id < seats.size(); ++id) {
      if (seats[id].last_done || seats[id].holds != core::Seat::Holds::kNothing) {
        used.push_back(DeviceId{id});
      }
    }
    faults_.Left({client, record->name, record->pid}, used, now);
  }
  expiry_logs_.erase(client);
  ledger_.Leaving(client, counters);
  Apply(core::ClientLeft{client}, client, now);
  for (const core::RateCapped& lifted : admission_.OnLeave(client)) {
    Apply(lifted, lifted.client, now);
  }
}

bool EngineHost::OnMessage(ClientId client, const wire::Message& message, TimePoint now) {
  if (const auto* faulted = std::get_if<wire::Faulted>(&message)) {
    return OnFault(client, *faulted, now);
  }
  if (OnForwarding(client, message)) return true;
  if (const auto* request = std::get_if<wire::Request>(&message);
      request != nullptr && request->call > Duration{}) {
    Apply(core::InferenceEnded{client, request->device, request->post, request->call}, client, now);
  }
  const auto event = std::visit(
      Overloaded{
          [&](const wire::Request& m) -> std::optional<core::Event> {
            return core::TurnRequested{client, m.seq, m.device, m.since_call, m.gated, m.exclusive};
          },
          [&](const wire::Release& m) -> std::optional<core::Event> {
            return core::TurnReleased{client, m.seq, m.body, m.wait, m.call};
          },
          [&](const wire::Ended& m) -> std::optional<core::Event> {
            return core::InferenceEnded{client, m.device, m.post, m.call};
          },
          [&](const wire::Cancel& m) -> std::optional<core::Event> {
            return core::TurnCancelled{client, m.seq};
          },
          [&](const wire::Claim& m) -> std::optional<core::Event> {
            return core::TurnClaimed{client, m.seq, m.device, m.held};
          },
          [&](const wire::Ungated& m) -> std::optional<core::Event> {
            return core::WarmupPassed{client, m.warmup};
          },
          [&](const wire::Forwarded& m) -> std::optional<core::Event> {
            return core::InferenceForwarded{client, m.call};
          },
          [&](const wire::Exceeded& m) -> std::optional<core::Event> {
            return core::ExcessHandled{client, m.skipped, m.deferred, m.refused};
          },
          [](const auto&) -> std::optional<core::Event> { return std::nullopt; },
      },
      message);
  if (!event) return false;
  Apply(*event, client, now);
  if (std::holds_alternative<core::TurnReleased>(*event)) {
    if (const auto cap = admission_.OnRelease(engine_, client)) Apply(*cap, client, now);
  }
  return true;
}

// What an agent says of itself and executors. False: it is some other message.
bool EngineHost::OnForwarding(ClientId client, const wire::Message& message) {
  StreamRecord* record = ledger_.Find(client);
  if (record == nullptr) return false;
  if (const auto* uses = std::get_if<wire::Uses>(&message)) {
    record->uses = uses->executors;
    return true;
  }
  const auto* serves = std::get_if<wire::Serves>(&message);
  if (serves == nullptr || serves->socket.empty()) return false;
  // Once: a client may not fill the log with executors without end.
  if (!record->serves.empty()) return record->serves == serves->socket;
  ledger_.Serves(client, serves->socket);
  spdlog::info("stream '{}' is the executor at {}", record->name, record->serves);
  return true;
}

std::string EngineHost::ExecutorName(const std::string& socket) const {
  const StreamRecord* executor = ledger_.FindExecutor(socket);
  if (executor != nullptr) return executor->name;
  const std::string known = name_executor_(socket);
  return known.empty() ? socket : known;
}

Result<void> EngineHost::Assign(const std::string& name, const std::vector<std::string>& executors,
                                std::string reason, TimePoint now) {
  Assignment assignment{.executors = {}, .reason = Printable(std::move(reason)), .since = now};
  std::string shown;
  for (const std::string& wanted : executors) {
    std::string socket = wanted;
    for (const auto& [client, record] : ledger_.streams()) {
      if (!record.serves.empty() && record.name == wanted) socket = record.serves;
    }
    if (std::ranges::count(assignment.executors, socket) > 0) continue;
    shown += (shown.empty() ? "" : ", ") + ExecutorName(socket);
    assignment.executors.push_back(std::move(socket));
  }
  const std::string& why = assignment.reason;
  const std::string line =
      fmt::format("'{}' is to run {}{}{}", Printable(name), shown.empty() ? "in the app" : "on ",
                  shown, why.empty() ? "" : ": " + why);
  if (auto set = assignments_.Set(name, assignment); !set) return set;
  spdlog::info("{}", line);
  TellAssigned(name);
  return {};
}

void EngineHost::SetStandby(const std::string& name, std::vector<std::string> sockets) {
  if (!assignments_.SetStandby(name, std::move(sockets))) return;
  TellAssigned(name);
}

void EngineHost::TellAssigned(const std::string& name) {
  const Assignment& assignment = assignments_.all().at(name);
  for (const auto& [client, record] : ledger_.streams()) {
    // To compare names spares most streams the search: a plan may assign hundreds at once.
    if (record.name != name && record.asked_name != name) continue;
    if (assignments_.Of(record) != &assignment) continue;
    outgoing_.push_back({client, wire::Assign{assignment.executors, assignment.standby}});
  }
}

void EngineHost::CapForwarded(const std::string& name, double fps, TimePoint now) {
  const std::optional<ClientId> client = ledger_.Named(name);
  if (!client || !ledger_.Find(*client)->uses) return;
  const core::Stream& stream = engine_.streams().at(*client);
  const double cap = fps > 0 ? std::max(fps, stream.spec.min_fps) : 0;
  if (stream.cap_fps != cap) Apply(core::RateCapped{*client, cap}, *client, now);
}

bool EngineHost::OnFault(ClientId client, const wire::Faulted& faulted, TimePoint now) {
  const StreamRecord* record = ledger_.Find(client);
  if (record == nullptr || faulted.device.value >= engine_.devices().size()) return false;
  if (faults_.Of(client) != nullptr)
    return true;  // it has said so; a client may not flood the list
  const GpuFaults::Fault& fault =
      faults_.Report({client, record->name, record->pid, faulted.code}, faulted.device, now);
  // What ran there runs no more: nobody is to wait for it. Those that wait have their turn next,
  // and notice for themselves.
  std::vector<core::TurnCancelled> freed;
  for (const core::RunningTurn& turn : engine_.devices()[faulted.device.value].running) {
    if (fault.shared || turn.client == client) freed.push_back({turn.client, turn.seq});
  }
  for (const core::TurnCancelled& turn : freed) {
    Apply(turn, turn.client, now);
    outgoing_.push_back({turn.client, wire::Expired{turn.seq}});
  }
  fault_log_due_();
  return true;
}

void EngineHost::WatchFaults(std::function<bool()> mps_runs, std::function<void()> soon) {
  faults_ = GpuFaults(std::move(mps_runs));
  fault_log_due_ = std::move(soon);
}

void EngineHost::LogFaults() {
  for (const GpuFaults::Fault& fault : faults_.TakeUnlogged()) {
    std::string names;
    for (const GpuFaults::Affected& one : fault.affected) {
      names += fmt::format("{}'{}' (pid {})", names.empty() ? "" : ", ", one.name, one.pid);
    }
    const GpuFaults::Affected* culprit = fault.culprit();
    spdlog::warn("{} failed under {}: {}; they must be started again",
                 engine_.devices()[fault.device.value].name, names,
                 culprit != nullptr
                     ? fmt::format("{} by '{}'", GpuErrorText(culprit->code), culprit->name)
                     : GpuErrorText(fault.affected.front().code));
  }
}

Result<void> EngineHost::SetPolicy(const core::PolicySpec& policy, TimePoint now) {
  if (auto valid = core::Validate(policy, core::TurnsOf::kApps); !valid) return valid.error();
  const core::PolicySpec before = engine_.policy();
  Apply(core::PolicySet{policy}, ClientId{}, now);
  spdlog::info("policy {} (concurrency {}) replaces {} (concurrency {})", policy.name,
               ConcurrencyText(policy), before.name, ConcurrencyText(before));
  return {};
}

void EngineHost::Apply(const core::Event& event, ClientId cause, TimePoint now) {
  actions_.clear();
  engine_.Step(event, now, &actions_);
  if (recorder_ != nullptr && !recorder_->Add(event, now, actions_)) {
    spdlog::error("the recording ends here: {}", recorder_->failure());
    recorder_ = nullptr;
  }
  ledger_.Observe(engine_, cause, now);
  for (const core::Action& action : actions_) {
    std::visit(
        Overloaded{
            [&](const core::Grant& a) {
              outgoing_.push_back({a.client, wire::Grant{a.seq, a.lease, MaskOf(a.cores)}});
            },
            [&](const core::Expire& a) {
              LogExpiry(a, now);
              outgoing_.push_back({a.client, wire::Expired{a.seq}});
            },
            [&](const core::Configure& a) {
              outgoing_.push_back({a.client, wire::Config{a.gating, a.wait_bound,
                                                          wire::Bounded(a.period), a.exclusive}});
            },
        },
        action);
  }
}

void EngineHost::LogExpiry(const core::Expire& expire, TimePoint now) {
  const auto [it, first] = expiry_logs_.try_emplace(expire.client, ExpiryLog{now, 0});
  if (!first && now - it->second.last < kExpiryLogEvery) {
    ++it->second.silent;
    return;
  }
  const StreamRecord* record = ledger_.Find(expire.client);
  spdlog::warn("stream '{}' kept its turn {} longer than its lease; others may run{}",
               record != nullptr ? record->name : "?", expire.seq.value,
               it->second.silent > 0
                   ? fmt::format(" ({} more since the last such line)", it->second.silent)
                   : std::string());
  it->second = ExpiryLog{now, 0};
}

}  // namespace stagger::daemon
