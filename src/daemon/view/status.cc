#include "daemon/view/status.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/profile.h"
#include "daemon/view/placement_view.h"
#include "daemon/view/values.h"

namespace stagger::daemon {

namespace {

constexpr Duration kRateWindow = std::chrono::seconds{5};
constexpr Duration kBusyWindow = std::chrono::seconds{10};

double Gigabytes(std::uint64_t bytes) { return Rounded(static_cast<double>(bytes) / 1e9, 1000); }

documents::Number Ratio(double part, double whole) {
  if (!(whole > 0)) return std::nullopt;
  return Rounded(std::clamp(part / whole, 0.0, 1.0), 10000);
}

documents::Summary Summary(const core::SampleWindow& samples) {
  if (samples.empty()) return {};
  return {RoundedMs(samples.min()), RoundedMs(samples.mean()), RoundedMs(samples.Quantile(0.5)),
          RoundedMs(samples.Quantile(0.99)), RoundedMs(samples.max())};
}

documents::Phase PhaseOf(const core::PhaseEstimate& phase) {
  if (phase.samples == 0) return {};
  return {RoundedMs(phase.mean), RoundedMs(phase.p99), Rounded(phase.confidence, 1000)};
}

documents::Profile ProfileOf(const core::Profile& profile) {
  return {PhaseOf(profile.pre),
          PhaseOf(profile.body),
          PhaseOf(profile.post),
          If(profile.overlaps > 0, Rounded(profile.occupancy, 1000)),
          Rounded(profile.occupancy_confidence, 1000),
          profile.overlaps};
}

// The rate in force: its own, or what overload leaves of it.
documents::Number Assigned(const core::Stream& stream) {
  if (stream.assigned_fps > 0) return Rounded(stream.assigned_fps, 1000);
  if (stream.cap_fps > 0 && stream.spec.required_fps > 0) {
    return Rounded(std::min(stream.cap_fps, stream.spec.required_fps), 1000);
  }
  return If(stream.spec.required_fps > 0, stream.spec.required_fps);
}

// Which streams run and which wait; running wins where one does both on different devices.
std::map<ClientId, const char*> States(const core::Engine& engine) {
  std::map<ClientId, const char*> states;
  for (const core::DeviceState& device : engine.devices()) {
    for (const core::WaitingTurn& turn : device.deferred) states.emplace(turn.client, "deferred");
    for (const core::WaitingTurn& turn : device.waiting) states.emplace(turn.client, "waiting");
  }
  for (const core::DeviceState& device : engine.devices()) {
    for (const core::RunningTurn& turn : device.running) states[turn.client] = "running";
  }
  return states;
}

// What the compute mode means for several apps on that GPU.
documents::Text ProblemWith(device::ComputeMode mode, const documents::Mps& mps) {
  if (mode == device::ComputeMode::kProhibited) {
    return "its compute mode is prohibited: no app can use it (nvidia-smi -c changes that)";
  }
  if (mode == device::ComputeMode::kExclusiveProcess && mps.state != "running") {
    return "its compute mode is exclusive_process and MPS does not run: one app can use it, others "
           "are refused (staggerd --mps auto, or nvidia-smi -c 0)";
  }
  return std::nullopt;
}

// How others see a GPU used.
void PutUse(const device::GpuUse& use, const documents::Status& status, documents::Device* out) {
  if (use.memory_bytes) out->memory_used_gb = Gigabytes(*use.memory_bytes);
  if (use.utilisation) out->gpu_utilisation_ratio = Rounded(*use.utilisation, 10000);
  if (use.compute_mode) {
    out->compute_mode = device::ToString(*use.compute_mode);
    out->problem = ProblemWith(*use.compute_mode, status.mps);
  }
  if (!use.processes) return;
  auto& processes = out->processes.emplace();
  for (const device::GpuProcess& process : *use.processes) {
    const auto stream = std::ranges::find(status.streams, process.pid, &documents::Stream::pid);
    processes.push_back(
        {process.pid, stream != status.streams.end() ? documents::Text(stream->name) : std::nullopt,
         std::nullopt});
    if (process.memory_bytes) processes.back().memory_gb = Gigabytes(*process.memory_bytes);
  }
}

// Would all that is here fit, at the rates that are asked for, and what more would?
std::optional<documents::Admission> Judged(const admission::DeviceLoad& load) {
  const auto verdict = AdmissionService::Judge(load);
  if (!verdict) return std::nullopt;
  const admission::Fit& fit = verdict->fit;
  const auto& tasks = verdict->load.tasks;
  documents::Admission out;
  out.admitted = fit.admitted;
  out.utilisation_ratio = Rounded(fit.utilisation, 10000);
  out.reason = fit.reason;
  if (fit.binding) {
    out.binding_stream = tasks[*fit.binding].name;
    out.interval_ms = RoundedMs(*fit.interval);
  }
  if (fit.nearest) out.nearest_fit = {tasks[fit.nearest->which].name, fit.nearest->fps};
  if (verdict->headroom_fps) out.headroom = {tasks.back().name, *verdict->headroom_fps};
  return out;
}

}  // namespace

documents::Policy PolicyOf(const core::PolicySpec& policy) {
  return {policy.name,
          {policy.auto_concurrency, policy.concurrency},
          If(policy.demand_limit > 0, policy.demand_limit),
          ToMs(policy.spacing)};
}

documents::Status Snapshot::Complete() const {
  documents::Status whole = status;
  const auto uses = gpus != nullptr ? gpus->Latest() : std::map<unsigned, device::GpuUse>{};
  for (std::size_t i = 0; i < whole.devices.size(); ++i) {
    if (i < loads.size()) whole.devices[i].admission = Judged(loads[i]);
    const auto use = gpu_numbers[i] ? uses.find(*gpu_numbers[i]) : uses.end();
    if (use != uses.end()) PutUse(use->second, whole, &whole.devices[i]);
  }
  PutPlacement(*plan, taken, &whole);
  documents::Totals& totals = whole.totals;
  for (const documents::Stream& stream : whole.streams) {
    AddCounters(&totals.counters, stream.counters);
    totals.fps += stream.fps;
    totals.fps_required += stream.fps_required.value_or(0);
    totals.missed += stream.missed.value_or(0);
  }
  totals.streams = whole.streams.size();
  totals.fps = Rounded(totals.fps, 100);
  totals.fps_required = Rounded(totals.fps_required, 1000);
  return whole;
}

std::shared_ptr<const Snapshot> Status::Latest(Duration max_age, TimePoint now) {
  if (latest_ == nullptr || now - latest_->taken > max_age) {
    latest_ = std::make_shared<const Snapshot>(Build(now));
  }
  return latest_;
}

Snapshot Status::Build(TimePoint now) const {
  const core::Engine& engine = host_->engine();
  const Ledger& ledger = host_->ledger();
  Snapshot snapshot;
  snapshot.taken = now;
  snapshot.gpus = gpus_;
  snapshot.plan = *plan_;
  const LoopSteps::Measurements steps = facts_.steps->measurements();
  documents::Status& status = snapshot.status;
  status.version = STAGGER_VERSION;
  status.pid = getpid();
  status.uptime_s = RoundedSeconds(now - ledger.started());
  status.socket = facts_.socket;
  status.http = OrNull(facts_.http);
  status.daemon.loop = {steps.steps, RoundedMs(steps.max), RoundedMs(steps.p999),
                        RoundedMs(steps.cpu_max), RoundedMs(steps.cpu_p999)};
  status.daemon.log_lines_lost = facts_.log_lost();
  status.policy = PolicyOf(engine.policy());
  status.admission = ToString(host_->admission().mode());
  status.mps = MpsFacts(now);
  status.faults = Faults(now);
  for (std::uint32_t i = 0; i < engine.devices().size(); ++i) {
    const auto& gpu = facts_.devices[i].gpu;
    status.devices.push_back(DeviceAt({i}, now));
    snapshot.gpu_numbers.push_back(gpu ? std::optional(gpu->number) : std::nullopt);
    if (host_->admission().mode() == AdmissionMode::kOff) continue;
    snapshot.loads.push_back(admission::LoadOf(engine, {i}));
  }
  const auto states = States(engine);
  status.streams.reserve(engine.streams().size());
  for (const auto& [client, stream] : engine.streams()) {
    const StreamRecord* record = ledger.Find(client);
    if (record == nullptr) continue;
    status.streams.push_back(StreamOf(client, stream, *record, now));
    const auto state = states.find(client);
    status.streams.back().state = state == states.end() ? "idle" : state->second;
  }
  status.totals.counters = {ledger.left()};
  status.totals.clients_refused = ledger.refused;
  status.totals.clients_dropped = ledger.dropped;
  return snapshot;
}

documents::Mps Status::MpsFacts(TimePoint now) const {
  const Mps::Facts& facts = mps_->facts();
  return {ToString(facts.mode),
          ToString(facts.state),
          facts.ours,
          If(facts.pid > 0, facts.pid),
          RoundedSeconds(now - facts.since),
          facts.restarts,
          OrNull(facts.reason),
          OrNull(facts.pipe_folder),
          OrNull(facts.log_folder)};
}

std::vector<documents::Fault> Status::Faults(TimePoint now) const {
  std::vector<documents::Fault> faults;
  for (const GpuFaults::Fault& fault : host_->faults().recent()) {
    const GpuFaults::Affected* culprit = fault.culprit();
    faults.push_back({fault.number,
                      host_->engine().devices()[fault.device.value].name,
                      RoundedSeconds(now - fault.at),
                      fault.shared,
                      OrNull(culprit != nullptr ? culprit->name : ""),
                      {}});
    for (const GpuFaults::Affected& one : fault.affected) {
      faults.back().streams.push_back(
          {one.name, one.pid, GpuErrorText(one.code), one.code, one.here});
    }
  }
  return faults;
}

documents::Device Status::DeviceAt(DeviceId id, TimePoint now) const {
  const core::DeviceState& device = host_->engine().devices()[id.value];
  const auto name_of = [&](ClientId client) -> documents::Text {
    const StreamRecord* record = host_->ledger().Find(client);
    return record != nullptr ? documents::Text(record->name) : std::nullopt;
  };
  documents::Device out;
  out.name = device.name;
  const std::optional<device::Gpu>& gpu = facts_.devices[id.value].gpu;
  out.kind = gpu ? "gpu" : "cpu";
  if (gpu) {
    out.model = gpu->model;
    out.uuid = device::GpuUuidText(gpu->uuid);
    out.memory_gb = Gigabytes(gpu->memory_bytes);
  }
  out.cores = device.cores;
  out.concurrency = device.concurrency;
  for (const core::RunningTurn& turn : device.running) {
    out.running.push_back({name_of(turn.client), RoundedMs(now - turn.granted), turn.expired});
  }
  for (const core::WaitingTurn& turn : device.waiting) {
    out.waiting.push_back({name_of(turn.client), RoundedMs(now - turn.requested)});
  }
  const core::DeviceTimes times = host_->engine().TimesAt(id, now);
  out.utilisation_ratio =
      Ratio(host_->ledger().BusyPerSecond(host_->engine(), id.value, now, kBusyWindow), 1e9);
  out.load_ratio = Rounded(device.load, 10000);
  out.overloaded = device.overloaded();
  out.body_time_ms = RoundedMs(times.body);
  out.busy_time_ms = RoundedMs(times.busy);
  out.overlap_ratio =
      Ratio(static_cast<double>(times.over.count()), static_cast<double>(times.body.count()));
  out.turns = device.turns;
  out.faults = host_->faults().CountOn(id);
  return out;
}

// The sentence is for people, the code for programs.
void Status::PutVerdict(ClientId client, const core::Stream& stream, const StreamRecord& record,
                        documents::Stream* out) const {
  const auto put = [out](const char* code, const std::string& sentence) {
    out->verdict = sentence;
    out->verdict_code = code;
  };
  const AdmissionService& service = host_->admission();
  if (service.mode() == AdmissionMode::kOff) return;
  if (!(stream.spec.required_fps > 0)) return put("no_rate", "no rate stated");
  const bool away = record.uses && !record.uses->empty();
  if (away && stream.body.empty()) return put("forwarded", "its inferences run in executors");
  const AdmissionService::Verdict* verdict = service.Of(client);
  if (verdict == nullptr) return put("unseen", "not seen enough");
  if (verdict->fits) return put("fits", "fits");
  put("exceeds", verdict->reason);
}

// Where its inferences run, by its own word; where they are to; and whether it is an executor.
void Status::PutForwarding(const StreamRecord& record, documents::Stream* out) const {
  const auto names = [&](const std::vector<std::string>& sockets) {
    documents::Names list;
    for (const std::string& socket : sockets) list.push_back(host_->ExecutorName(socket));
    return list;
  };
  out->forwards = record.uses.has_value();
  if (record.uses) out->on = names(*record.uses);
  if (const Assignment* assigned = host_->assignments().Of(record)) {
    out->assigned_to = names(assigned->executors);
    out->assigned_why = assigned->reason;
  }
  out->serves = OrNull(record.serves);
}

documents::Stream Status::StreamOf(ClientId client, const core::Stream& stream,
                                   const StreamRecord& record, TimePoint now) const {
  const core::StreamCounters& counters = stream.counters;
  const StreamSpec& spec = stream.spec;
  const double attached_s = ToMs(now - stream.joined) / 1000;
  documents::Stream out;
  out.name = record.name;
  out.pid = record.pid;
  out.command = record.command;
  if (spec.required_fps > 0) {
    const auto due = static_cast<std::uint64_t>(spec.required_fps * attached_s);
    const std::uint64_t had = counters.done + counters.warmup;
    out.missed = due > had ? due - had : 0;
    out.fps_required = spec.required_fps;
    out.excess = ToString(spec.excess);
  }
  out.fps_assigned = Assigned(stream);
  out.fps = Rounded(record.done.PerSecond(now, kRateWindow), 100);
  if (spec.deadline > Duration{0}) {
    out.deadline_ms = RoundedMs(spec.deadline);
    out.deadline_miss_ratio =
        Ratio(static_cast<double>(counters.late_deadline), static_cast<double>(counters.done));
  }
  out.weight = spec.weight;
  out.counters = {counters};
  out.wait_ms = Summary(stream.wait);
  out.body_ms = Summary(stream.body);
  out.inference_ms = Summary(stream.call);
  out.profile = ProfileOf(core::ProfileOf(stream));
  if (counters.requested + counters.claimed > 0) {
    out.device = host_->engine().devices()[stream.last_device.value].name;
  }
  out.attached_s = Rounded(attached_s, 1000);
  if (const GpuFaults::Affected* broken = host_->faults().Of(client)) {
    out.fault = GpuErrorText(broken->code);
  }
  PutVerdict(client, stream, record, &out);
  PutForwarding(record, &out);
  return out;
}

}  // namespace stagger::daemon
