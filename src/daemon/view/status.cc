#include "daemon/view/status.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/profile.h"

namespace stagger::daemon {

namespace {

using nlohmann::json;

constexpr Duration kRateWindow = std::chrono::seconds{5};
constexpr Duration kBusyWindow = std::chrono::seconds{10};

// `parts` to the unit: 1000 keeps three decimals, and no tail of binary noise in the text.
double Rounded(double value, double parts) { return std::round(value * parts) / parts; }
double Ms(Duration d) { return Rounded(ToMs(d), 1000); }
double Seconds(Duration d) { return Rounded(ToMs(d) / 1000, 1000); }

double Gigabytes(std::uint64_t bytes) { return Rounded(static_cast<double>(bytes) / 1e9, 1000); }

json Ratio(double part, double whole) {
  if (!(whole > 0)) return nullptr;
  return Rounded(std::clamp(part / whole, 0.0, 1.0), 10000);
}

json Summary(const core::SampleWindow& samples) {
  if (samples.empty()) {
    return {
        {"min", nullptr}, {"mean", nullptr}, {"p50", nullptr}, {"p99", nullptr}, {"max", nullptr}};
  }
  return {{"min", Ms(samples.min())},
          {"mean", Ms(samples.mean())},
          {"p50", Ms(samples.Quantile(0.5))},
          {"p99", Ms(samples.Quantile(0.99))},
          {"max", Ms(samples.max())}};
}

json PhaseJson(const core::PhaseEstimate& phase) {
  if (phase.samples == 0) return {{"mean", nullptr}, {"p99", nullptr}, {"confidence", 0}};
  return {{"mean", Ms(phase.mean)},
          {"p99", Ms(phase.p99)},
          {"confidence", Rounded(phase.confidence, 1000)}};
}

json ProfileJson(const core::Profile& profile) {
  return {{"pre_ms", PhaseJson(profile.pre)},
          {"body_ms", PhaseJson(profile.body)},
          {"post_ms", PhaseJson(profile.post)},
          {"demand", profile.overlaps > 0 ? json(Rounded(profile.demand, 1000)) : json(nullptr)},
          {"demand_confidence", Rounded(profile.demand_confidence, 1000)},
          {"overlaps", profile.overlaps}};
}

void PutCounters(const core::StreamCounters& counters, json* out) {
  for (const core::StreamCounter& counter : core::kStreamCounters) {
    if (counter.key != nullptr) (*out)[counter.key] = counters.*counter.value;
  }
}

// The rate in force: its own, or what overload leaves of it.
json Assigned(const core::Stream& stream) {
  if (stream.assigned_fps > 0) return Rounded(stream.assigned_fps, 1000);
  if (stream.cap_fps > 0 && stream.spec.required_fps > 0) {
    return Rounded(std::min(stream.cap_fps, stream.spec.required_fps), 1000);
  }
  return stream.spec.required_fps > 0 ? json(stream.spec.required_fps) : json(nullptr);
}

// Which streams run and which wait; running wins where one does both on different devices.
std::map<ClientId, const char*> States(const core::Engine& engine) {
  std::map<ClientId, const char*> states;
  for (const core::DeviceState& device : engine.devices()) {
    for (const core::WaitingTurn& turn : device.held) states.emplace(turn.client, "held");
    for (const core::WaitingTurn& turn : device.waiting) states.emplace(turn.client, "waiting");
  }
  for (const core::DeviceState& device : engine.devices()) {
    for (const core::RunningTurn& turn : device.running) states[turn.client] = "running";
  }
  return states;
}

// What the compute mode means for several apps on that GPU. Null: nothing.
const char* ProblemWith(device::ComputeMode mode, const Mps& mps) {
  if (mode == device::ComputeMode::kProhibited) {
    return "its compute mode is prohibited: no app can use it (nvidia-smi -c changes that)";
  }
  if (mode == device::ComputeMode::kExclusiveProcess && mps.facts().state != Mps::State::kRunning) {
    return "its compute mode is exclusive_process and MPS does not run: one app can use it, others "
           "are refused (staggerd --mps auto, or nvidia-smi -c 0)";
  }
  return nullptr;
}

}  // namespace

json ConcurrencyJson(const core::PolicySpec& policy) {
  return policy.auto_concurrency ? json("auto") : json(policy.concurrency);
}

json DemandLimitJson(const core::PolicySpec& policy) {
  return policy.demand_limit > 0 ? json(policy.demand_limit) : json(nullptr);
}

json AssignmentsJson(const EngineHost& host, TimePoint now) {
  json list = json::array();
  for (const auto& [name, assignment] : host.assignments().all()) {
    list.push_back({{"name", name},
                    {"executors", assignment.executors},
                    {"reason", assignment.reason},
                    {"for_s", Seconds(now - assignment.since)}});
  }
  return {{"assignments", std::move(list)}};
}

std::string Dump(const json& status) {
  return status.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::shared_ptr<const Snapshot> Status::Latest(Duration max_age, TimePoint now) {
  if (latest_ == nullptr || now - latest_->taken > max_age) {
    latest_ = std::make_shared<const Snapshot>(Snapshot{Build(now), now});
  }
  return latest_;
}

json Status::Build(TimePoint now) const {
  const core::Engine& engine = host_->engine();
  const Ledger& ledger = host_->ledger();
  json status;
  status["version"] = STAGGER_VERSION;
  status["pid"] = getpid();
  status["uptime_s"] = Seconds(now - ledger.started());
  status["socket"] = facts_.socket;
  status["http"] = facts_.http.empty() ? json(nullptr) : json(facts_.http);
  status["daemon"] = DaemonJson();
  status["policy"] = {{"name", engine.policy().name},
                      {"concurrency", ConcurrencyJson(engine.policy())},
                      {"demand_limit", DemandLimitJson(engine.policy())},
                      {"spacing_ms", ToMs(engine.policy().spacing)}};
  status["admission"] = ToString(host_->admission().mode());
  status["mps"] = MpsJson(now);
  status["devices"] = Devices(now);
  status["faults"] = Faults(now);
  status["streams"] = Streams(now);
  status["placement"] = PlacementJson(now);

  core::StreamCounters sum = ledger.left();
  double fps = 0;
  double required = 0;
  std::uint64_t missed = 0;
  for (const auto& [client, stream] : engine.streams()) AddCounters(&sum, stream.counters);
  for (const json& stream : status["streams"]) {
    fps += stream["fps"].get<double>();
    if (stream["fps_required"].is_number()) required += stream["fps_required"].get<double>();
    if (stream["missed"].is_number()) missed += stream["missed"].get<std::uint64_t>();
  }
  json totals;
  PutCounters(sum, &totals);
  totals["streams"] = engine.streams().size();
  totals["fps"] = Rounded(fps, 100);
  totals["fps_required"] = Rounded(required, 1000);
  totals["missed"] = missed;
  totals["clients_refused"] = ledger.refused;
  totals["clients_dropped"] = ledger.dropped;
  status["totals"] = std::move(totals);
  return status;
}

// What it is, and how others see it used. The same fields for all, null where they mean nothing.
void Status::PutHardware(const device::Device& device,
                         const std::map<unsigned, device::GpuUse>& uses, json* out) const {
  (*out)["kind"] = device.gpu ? "gpu" : "cpu";
  for (const char* field : {"model", "uuid", "memory_gb", "memory_used_gb", "gpu_utilisation_ratio",
                            "processes", "compute_mode", "problem"}) {
    (*out)[field] = nullptr;
  }
  if (!device.gpu) return;
  (*out)["model"] = device.gpu->model;
  (*out)["uuid"] = device::GpuUuidText(device.gpu->uuid);
  (*out)["memory_gb"] = Gigabytes(device.gpu->memory_bytes);
  const auto found = uses.find(device.gpu->number);
  if (found == uses.end()) return;
  const device::GpuUse& use = found->second;
  if (use.memory_bytes) (*out)["memory_used_gb"] = Gigabytes(*use.memory_bytes);
  if (use.compute_mode) {
    (*out)["compute_mode"] = device::ToString(*use.compute_mode);
    if (const char* problem = ProblemWith(*use.compute_mode, *mps_)) (*out)["problem"] = problem;
  }
  if (use.utilisation) (*out)["gpu_utilisation_ratio"] = Rounded(*use.utilisation, 10000);
  if (!use.processes) return;
  json processes = json::array();
  for (const device::GpuProcess& process : *use.processes) {
    const StreamRecord* stream = host_->ledger().FindPid(process.pid);
    processes.push_back({{"pid", process.pid},
                         {"stream", stream != nullptr ? json(stream->name) : json(nullptr)},
                         {"memory_gb", process.memory_bytes ? json(Gigabytes(*process.memory_bytes))
                                                            : json(nullptr)}});
  }
  (*out)["processes"] = std::move(processes);
}

json Status::DaemonJson() const {
  const LoopSteps::Figures steps = facts_.steps->figures();
  return {{"loop",
           {{"steps", steps.steps},
            {"max_ms", Ms(steps.max)},
            {"p999_ms", Ms(steps.p999)},
            {"cpu_max_ms", Ms(steps.cpu_max)},
            {"cpu_p999_ms", Ms(steps.cpu_p999)}}},
          {"log_lines_lost", facts_.log_lost()}};
}

json Status::MpsJson(TimePoint now) const {
  const Mps::Facts& facts = mps_->facts();
  const auto or_null = [](const std::string& text) { return text.empty() ? json() : json(text); };
  return {{"mode", ToString(facts.mode)},
          {"state", ToString(facts.state)},
          {"ours", facts.ours},
          {"pid", facts.pid > 0 ? json(facts.pid) : json(nullptr)},
          {"since_s", Seconds(now - facts.since)},
          {"restarts", facts.restarts},
          {"reason", or_null(facts.reason)},
          {"pipe_directory", or_null(facts.pipe_folder)},
          {"log_directory", or_null(facts.log_folder)}};
}

json Status::Faults(TimePoint now) const {
  json faults = json::array();
  for (const GpuFaults::Fault& fault : host_->faults().recent()) {
    json streams = json::array();
    for (const GpuFaults::Affected& one : fault.affected) {
      streams.push_back({{"name", one.name},
                         {"pid", one.pid},
                         {"error", GpuErrorText(one.code)},
                         {"code", one.code},
                         {"present", one.here}});
    }
    const GpuFaults::Affected* culprit = fault.culprit();
    faults.push_back({{"number", fault.number},
                      {"device", host_->engine().devices()[fault.device.value].name},
                      {"for_s", Seconds(now - fault.at)},
                      {"shared", fault.shared},
                      {"culprit", culprit != nullptr ? json(culprit->name) : json(nullptr)},
                      {"streams", std::move(streams)}});
  }
  return faults;
}

json Status::PlaceJson(const placement::PlacedStream& stream, TimePoint now) const {
  json devices = json::array();
  for (const std::uint32_t device : stream.on) {
    devices.push_back(placement_->devices()[device].plan.name);
  }
  json standby = json::array();
  for (const std::uint32_t device : stream.standby) {
    standby.push_back(placement_->devices()[device].plan.name);
  }
  return {{"devices", std::move(devices)},
          {"standby", std::move(standby)},
          {"reason", stream.reason},
          {"body_ms", ToMs(stream.need.body)},
          {"measured_body_ms", stream.growth.factor() > 1
                                   ? json(Rounded(ToMs(placement::NeedOf(stream).body), 1000))
                                   : json(nullptr)},
          {"lowered_fps",
           stream.lowered_fps > 0 ? json(Rounded(stream.lowered_fps, 1000)) : json(nullptr)},
          {"moves", stream.moves},
          {"for_s", Seconds(now - stream.since)}};
}

// An app that uses its device itself, and is still on another one than its place.
bool Status::MovesAtStart(const placement::PlacedStream& stream, const std::string& runs_on) const {
  return stream.need.kind == placement::DeviceKind::kGpu &&
         std::ranges::none_of(stream.on, [&](std::uint32_t device) {
           return placement_->devices()[device].on == runs_on;
         });
}

// The plan in force; null: there is none.
json Status::PlacementJson(TimePoint now) const {
  if (placement_->empty()) return nullptr;
  std::vector<json> serves(placement_->devices().size(), json::array());
  json streams = json::array();
  for (const placement::PlacedStream& stream : placement_->streams()) {
    for (const std::uint32_t device : stream.on) serves[device].push_back(stream.need.name);
    json entry = PlaceJson(stream, now);
    entry["name"] = stream.need.name;
    entry["fps"] = stream.need.fps;
    entry["runs"] = host_->ledger().NameTaken(stream.need.name);
    streams.push_back(std::move(entry));
  }
  json devices = json::array();
  for (const placement::PlacedDevice& device : placement_->devices()) {
    devices.push_back(
        {{"name", device.plan.name},
         {"on", device.on},
         {"speed", device.plan.speed},
         {"memory_gb", device.plan.memory_gb > 0 ? json(device.plan.memory_gb) : json(nullptr)},
         {"here", device.here},
         {"measured_speed", device.slower.factor() > 1
                                ? json(Rounded(placement::PlanOf(device).speed, 1000))
                                : json(nullptr)},
         {"measured_memory_gb", device.shorter.factor() > 1
                                    ? json(Rounded(placement::PlanOf(device).memory_gb, 1000))
                                    : json(nullptr)},
         {"overfull", device.overfull.empty() ? json(nullptr) : json(device.overfull)},
         {"for_s", Seconds(now - device.since)},
         {"streams", std::move(serves[devices.size()])}});
  }
  json events = json::array();
  for (const placement::PlanInForce::Event& event : placement_->events()) {
    events.push_back({{"for_s", Seconds(now - event.at)}, {"text", event.text}});
  }
  return {{"devices", std::move(devices)},
          {"streams", std::move(streams)},
          {"events", std::move(events)}};
}

json Status::Devices(TimePoint now) const {
  const auto uses = gpus_ != nullptr ? gpus_->Latest() : std::map<unsigned, device::GpuUse>{};
  const auto name_of = [&](ClientId client) -> json {
    const StreamRecord* record = host_->ledger().Find(client);
    return record != nullptr ? json(record->name) : json(nullptr);
  };
  json devices = json::array();
  std::size_t index = 0;
  for (const core::DeviceState& device : host_->engine().devices()) {
    json running = json::array();
    for (const core::RunningTurn& turn : device.running) {
      running.push_back({{"stream", name_of(turn.client)},
                         {"for_ms", Ms(now - turn.granted)},
                         {"expired", turn.expired}});
    }
    json waiting = json::array();
    for (const core::WaitingTurn& turn : device.waiting) {
      waiting.push_back({{"stream", name_of(turn.client)}, {"for_ms", Ms(now - turn.requested)}});
    }
    const core::DeviceTimes times =
        host_->engine().TimesAt({static_cast<std::uint32_t>(index)}, now);
    const double busy_ns_per_s =
        host_->ledger().BusyPerSecond(host_->engine(), index++, now, kBusyWindow);
    devices.push_back(
        {{"name", device.name},
         {"cores", device.cores},
         {"concurrency", device.concurrency},
         {"running", std::move(running)},
         {"waiting", std::move(waiting)},
         {"utilisation_ratio", Ratio(busy_ns_per_s, 1e9)},
         {"admission", Admission(index - 1)},
         {"load_ratio", Rounded(device.load, 10000)},
         {"overloaded", device.overloaded()},
         {"body_time_ms", Ms(times.body)},
         {"busy_time_ms", Ms(times.busy)},
         {"overlap_ratio",
          Ratio(static_cast<double>(times.over.count()), static_cast<double>(times.body.count()))},
         {"turns", device.turns},
         {"faults", host_->faults().CountOn({static_cast<std::uint32_t>(index - 1)})}});
    PutHardware(facts_.devices[index - 1], uses, &devices.back());
  }
  return devices;
}

// Would all that is here fit, at the rates that are asked for, and what more would?
json Status::Admission(std::size_t device) const {
  if (host_->admission().mode() == AdmissionMode::kOff) return nullptr;
  const auto verdict =
      AdmissionDesk::Of(host_->engine(), DeviceId{static_cast<std::uint32_t>(device)});
  if (!verdict) return nullptr;
  const admission::Fit& fit = verdict->fit;
  const auto& tasks = verdict->load.tasks;
  json out = {{"admitted", fit.admitted}, {"utilisation_ratio", Rounded(fit.utilisation, 10000)},
              {"reason", fit.reason},     {"binding_stream", nullptr},
              {"interval_ms", nullptr},   {"nearest_fit", nullptr},
              {"headroom", nullptr}};
  if (fit.binding) {
    out["binding_stream"] = tasks[*fit.binding].name;
    out["interval_ms"] = Ms(*fit.interval);
  }
  if (fit.nearest) {
    out["nearest_fit"] = {{"stream", tasks[fit.nearest->which].name}, {"fps", fit.nearest->fps}};
  }
  if (verdict->headroom_fps) {
    out["headroom"] = {{"like", tasks.back().name}, {"fps", *verdict->headroom_fps}};
  }
  return out;
}

// The sentence is for people, the code for programs.
void Status::PutVerdict(ClientId client, const core::Stream& stream, json* out) const {
  const auto put = [out](const char* code, const json& sentence) {
    (*out)["verdict"] = sentence;
    (*out)["verdict_code"] = code != nullptr ? json(code) : json(nullptr);
  };
  const AdmissionDesk& desk = host_->admission();
  if (desk.mode() == AdmissionMode::kOff) return put(nullptr, nullptr);
  if (!(stream.spec.required_fps > 0)) return put("no_rate", "no rate stated");
  const StreamRecord* record = host_->ledger().Find(client);
  const bool away = record != nullptr && record->uses && !record->uses->empty();
  if (away && stream.body.empty()) return put("forwarded", "its inferences run in executors");
  const AdmissionDesk::Verdict* verdict = desk.Of(client);
  if (verdict == nullptr) return put("unseen", "not seen enough");
  if (verdict->fits) return put("fits", "fits");
  put("exceeds", verdict->reason);
}

// Where its inferences run, by its own word; where they are to; and whether it is an executor.
void Status::PutForwarding(const StreamRecord& record, json* out) const {
  const auto names = [&](const std::vector<std::string>& sockets) {
    json list = json::array();
    for (const std::string& socket : sockets) list.push_back(host_->ExecutorName(socket));
    return list;
  };
  (*out)["forwards"] = record.uses.has_value();
  (*out)["on"] = record.uses ? names(*record.uses) : json(nullptr);
  const Assignment* assigned = host_->assignments().Of(record);
  (*out)["assigned_to"] = assigned != nullptr ? names(assigned->executors) : json(nullptr);
  (*out)["assigned_why"] = assigned != nullptr ? json(assigned->reason) : json(nullptr);
  (*out)["serves"] = record.serves.empty() ? json(nullptr) : json(record.serves);
}

json Status::Streams(TimePoint now) const {
  const core::Engine& engine = host_->engine();
  const auto states = States(engine);
  json streams = json::array();
  for (const auto& [client, stream] : engine.streams()) {
    const StreamRecord* record = host_->ledger().Find(client);
    if (record == nullptr) continue;
    const core::StreamCounters& counters = stream.counters;
    const bool rated = stream.spec.required_fps > 0;
    const double attached_s = ToMs(now - stream.joined) / 1000;
    json missed = nullptr;
    if (rated) {
      const auto due = static_cast<std::uint64_t>(stream.spec.required_fps * attached_s);
      const std::uint64_t had = counters.done + counters.warmup;
      missed = due > had ? due - had : 0;
    }
    const bool timed = stream.spec.deadline > Duration{0};
    const auto state = states.find(client);
    json entry = {
        {"name", record->name},
        {"pid", record->pid},
        {"command", record->command},
        {"fps_required", rated ? json(stream.spec.required_fps) : json(nullptr)},
        {"fps_assigned", Assigned(stream)},
        {"fps", Rounded(record->done.PerSecond(now, kRateWindow), 100)},
        {"deadline_ms", timed ? json(Ms(stream.spec.deadline)) : json(nullptr)},
        {"weight", stream.spec.weight},
        {"deadline_miss_ratio", timed ? Ratio(static_cast<double>(counters.late_deadline),
                                              static_cast<double>(counters.done))
                                      : json(nullptr)},
        {"missed", std::move(missed)},
        {"excess", rated ? json(ToString(stream.spec.excess)) : json(nullptr)},
        {"wait_ms", Summary(stream.wait)},
        {"body_ms", Summary(stream.body)},
        {"inference_ms", Summary(stream.call)},
        {"profile", ProfileJson(core::ProfileOf(stream))},
        {"device", counters.requested + counters.claimed > 0
                       ? json(engine.devices()[stream.home.value].name)
                       : json(nullptr)},
        {"state", state == states.end() ? "idle" : state->second},
        {"attached_s", Rounded(attached_s, 1000)},
        {"video", nullptr},
        {"fault", nullptr},
        {"placement", nullptr},
    };
    if (const placement::PlacedStream* placed = placement_->Find(record->name)) {
      entry["placement"] = PlaceJson(*placed, now);
      entry["placement"]["at_next_start"] =
          entry["device"].is_string() && MovesAtStart(*placed, entry["device"]);
    }
    if (const GpuFaults::Affected* broken = host_->faults().Of(client)) {
      entry["fault"] = GpuErrorText(broken->code);
    }
    PutVerdict(client, stream, &entry);
    PutForwarding(*record, &entry);
    PutCounters(counters, &entry);
    streams.push_back(std::move(entry));
  }
  return streams;
}

}  // namespace stagger::daemon
