#include "daemon/plan/plan_service.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "daemon/clients/engine_host.h"
#include "daemon/loop/spawn.h"
#include "daemon/plan/executor_measurements.h"
#include "daemon/plan/gpu_measurements.h"

namespace stagger::daemon {

using nlohmann::json;

namespace {

// Models are not loaded while others move, or apps start.
constexpr Duration kAheadAfter = std::chrono::milliseconds{500};
constexpr Duration kAheadStep = std::chrono::milliseconds{10};
// Events that wait for the worker; beyond this, measurements are not taken.
constexpr std::size_t kMostWaiting = 1024;
constexpr std::size_t kMostPlaces = 64;  // places in one packet

}  // namespace

PlanService::~PlanService() {
  for (auto& [pid, owner] : owners_) loop_->Unwatch(owner.watch);
}

Result<PlanService::Owner*> PlanService::OwnerOf(pid_t pid) {
  if (const auto found = owners_.find(pid); found != owners_.end()) return &found->second;
  Owner owner;
  if (pid > 0) owner.process = WatchProcess(pid);
  if (!owner.process.valid()) {
    return Error{
        fmt::format("place: this daemon cannot see the process that asks (pid {}), so would "
                    "not know when it ends: is it in another container?",
                    pid)};
  }
  auto watch =
      loop_->Watch(owner.process.get(), EPOLLIN, [this, pid](std::uint32_t) { OnOwnerGone(pid); });
  if (!watch) return watch.error();
  owner.watch = *watch;
  return &owners_.emplace(pid, std::move(owner)).first->second;
}

void PlanService::OnOwnerGone(pid_t pid) {
  const auto owner = owners_.find(pid);
  if (owner == owners_.end()) return;
  loop_->Unwatch(owner->second.watch);
  owners_.erase(owner);
  for (const placement::PlacedDevice& device : plan_.devices()) {
    if (device.owner == pid && gpus_ != nullptr) gpus_->Forget(device.plan.name);
  }
  (void)Step(placement::OwnerGone{pid}, Now());
  std::erase_if(watches_,
                [&](const auto& entry) { return plan_.FindDevice(entry.first) == nullptr; });
  acted_();
}

Result<json> PlanService::Place(const json& body, pid_t owner, TimePoint now) {
  auto request = ParsePlaceRequest(body, devices_);
  if (!request) return request.error();
  const auto known = OwnerOf(owner);
  if (!known) return known.error();
  placement::Joined& draft = (*known)->draft;
  const auto append = [](auto* to, auto* from) {
    to->insert(to->end(), std::move_iterator(from->begin()), std::move_iterator(from->end()));
  };
  append(&draft.devices, &request->devices);
  append(&draft.streams, &request->streams);
  append(&draft.places, &request->places);
  append(&draft.like, &request->like);
  // What is too much is refused by the plan, and not kept until then.
  const bool fits = draft.streams.size() <= placement::PlanInForce::kMostStreams &&
                    draft.devices.size() <= placement::PlanInForce::kMostDevices;
  if (request->more && fits) return json::object();
  placement::Joined joined = std::exchange(draft, {});
  joined.partial = request->partial;
  for (placement::PlacedDevice& device : joined.devices) device.owner = owner;
  for (placement::PlacedStream& stream : joined.streams) stream.owner = owner;
  if (auto stepped = Step(joined, now); !stepped) return stepped.error();
  for (const placement::PlacedDevice& device : joined.devices) {
    if (const auto watched = Watch(device); !watched) {
      (void)Step(placement::OwnerGone{owner}, now);
      return watched.error();
    }
  }
  spdlog::info("{} streams placed for pid {}; {} devices, {} streams in all", joined.streams.size(),
               owner, plan_.devices().size(), plan_.streams().size());
  json places = json::array();
  for (const placement::PlacedStream& stream : joined.streams) {
    places.push_back(PlaceOf(*plan_.Find(stream.need.name)));
  }
  return json{{"streams", std::move(places)}};
}

Result<json> PlanService::Unplace(const json& body, TimePoint now) {
  const auto names = ParseNames(body);
  if (!names) return names.error();
  (void)Step(placement::Left{*names}, now);
  return json::object();
}

Result<void> PlanService::Watch(const placement::PlacedDevice& device) {
  if (auto watched = WatchGpu(device); !watched || device.socket.empty()) return watched;
  const std::string name = device.plan.name;
  const bool is_gpu = !device.uuid.empty();
  auto watch = ExecutorWatch::Create(
      loop_, device.socket,
      {.gone =
           [this, name](const std::string& why) {
             spdlog::warn("the executor on {} is gone: {}", name, why);
             StepLater(placement::Presence{name, false, true, why});
           },
       .back =
           [this, name] {
             spdlog::info("the executor on {} is here again", name);
             StepLater(placement::Presence{name, true, true});
           },
       .told =
           [this, name, is_gpu,
            measurements = ExecutorMeasurements()](const std::string& status) mutable {
             // One on a GPU waits for turns there: its times say nothing of the device.
             if (!is_gpu) StepLater(placement::Measured{name, measurements.Read(status)});
           }});
  if (!watch) return watch.error();
  watches_[name] = std::move(watch).value();
  return {};
}

Result<void> PlanService::WatchGpu(const placement::PlacedDevice& device) {
  const auto known = std::ranges::find(
      devices_, device.on,
      [](const device::Device& each) -> const auto& { return each.spec.name; });
  if (known == devices_.end() || !known->gpu) return {};
  if (gpus_ == nullptr) {
    auto created = GpuPresence::Create(loop_);
    if (!created) return created.error();
    gpus_ = std::move(created).value();
  }
  const std::string name = device.plan.name;
  const DeviceId id{static_cast<std::uint32_t>(known - devices_.begin())};
  gpus_->Watch(name, *known->gpu,
               {.gone =
                    [this, name](const std::string& why) {
                      spdlog::warn("{} is gone: {}", name, why);
                      StepLater(placement::Presence{name, false, false, why});
                    },
                .back =
                    [this, name] {
                      spdlog::info("{} is here again", name);
                      StepLater(placement::Presence{name, true, false});
                    },
                .use =
                    [this, name, id, gpu = *known->gpu,
                     measurements = GpuMeasurements()](const device::GpuUse& use) mutable {
                      StepLater(placement::Measured{
                          name, measurements.Read(gpu, use, id, host_->engine(), host_->ledger())});
                    }});
  return {};
}

void PlanService::LookAtGpus() {
  if (gpus_ != nullptr) gpus_->Look();
}

Result<void> PlanService::Step(const placement::PlanEvent& event, TimePoint now) {
  const Result<placement::PlanActions> actions = plan_.Step(event, now);
  if (!actions) return actions.error();
  overtaken_ = true;
  Carry(*actions);
  return {};
}

void PlanService::StepLater(placement::PlanEvent event) {
  const bool measurements = std::holds_alternative<placement::Measured>(event);
  if (measurements && happened_.size() >= kMostWaiting) return;
  if (worker_ == nullptr) {
    auto created = Worker::Create(loop_);
    if (!created) {
      spdlog::warn("the plan is changed by the loop itself: {}", created.error().message);
      (void)Step(event, Now());
      return acted_();
    }
    worker_ = std::move(created).value();
  }
  happened_.push_back({std::move(event), Now()});
  if (!working_) GiveWork();
}

// To find which streams move may take hundreds of boards, and the loop grants turns meanwhile.
void PlanService::GiveWork() {
  overtaken_ = false;
  const auto work = std::make_shared<Work>(Work{plan_, std::exchange(happened_, {})});
  working_ = worker_->Do([this, work]() -> Worker::FollowUp {
    for (const Happened& each : work->happened) {
      Result<placement::PlanActions> actions = work->plan.Step(each.event, each.at);
      if (actions) std::ranges::move(*actions, std::back_inserter(work->actions));
    }
    return [this, work] { OnWorked(std::move(*work)); };
  });
}

void PlanService::OnWorked(Work work) {
  working_ = false;
  if (overtaken_) {
    happened_.insert(happened_.begin(), std::make_move_iterator(work.happened.begin()),
                     std::make_move_iterator(work.happened.end()));
  } else {
    plan_ = std::move(work.plan);
    Carry(work.actions);
    acted_();
  }
  if (!happened_.empty()) GiveWork();
}

void PlanService::Carry(const placement::PlanActions& actions) {
  struct Carrier {
    PlanService& service;
    EngineHost& host;
    void operator()(const placement::AssignTo& assign) const {
      if (!assign.sockets) return host.Unassign(assign.stream);
      const auto assigned = host.Assign(assign.stream, *assign.sockets, assign.why, Now());
      if (!assigned) spdlog::warn("{}", assigned.error().message);
    }
    void operator()(const placement::StandBy& standby) const {
      host.SetStandby(standby.stream, standby.sockets);
    }
    void operator()(const placement::CapRate& cap) const {
      host.CapForwarded(cap.stream, cap.fps, Now());
    }
    void operator()(const placement::Report& report) const {
      spdlog::log(report.warns ? spdlog::level::warn : spdlog::level::info, "{}", report.text);
    }
    void operator()(const placement::PlanAhead&) const { service.PlanAhead(); }
  };
  for (const placement::PlanAction& action : actions) std::visit(Carrier{*this, *host_}, action);
}

void PlanService::PlanAhead() {
  if (!ahead_timer_) {
    auto timer = Timer::Create(loop_, [this] {
      StepLater(placement::StandbyDue{ahead_next_});
      if (++ahead_next_ < plan_.devices().size()) ahead_timer_->ArmBy(Now() + kAheadStep);
    });
    if (!timer) return spdlog::warn("no models are loaded ahead: {}", timer.error().message);
    ahead_timer_ = std::move(timer).value();
  }
  ahead_next_ = 0;
  ahead_timer_->ArmBy(Now() + kAheadAfter);
}

std::optional<json> PlanService::PlacesSince(std::uint64_t* told, pid_t owner) const {
  if (*told >= plan_.changes()) return std::nullopt;
  std::vector<const placement::PlacedStream*> fresh;
  for (const placement::PlacedStream& stream : plan_.streams()) {
    if (stream.owner == owner && stream.change > *told) fresh.push_back(&stream);
  }
  std::ranges::sort(fresh, {}, &placement::PlacedStream::change);
  *told = plan_.changes();
  if (fresh.empty()) return std::nullopt;
  if (fresh.size() > kMostPlaces) {
    fresh.resize(kMostPlaces);
    *told = fresh.back()->change;
  }
  json places = json::array();
  for (const placement::PlacedStream* stream : fresh) places.push_back(PlaceOf(*stream));
  return json{{"streams", std::move(places)}};
}

json PlanService::PlaceOf(const placement::PlacedStream& stream) const {
  json devices = json::array();
  json executors = json::array();
  json gpus = json::array();
  const bool sent = stream.need.kind == placement::DeviceKind::kExecutor;
  for (const std::uint32_t index : stream.on) {
    const placement::PlacedDevice& device = plan_.devices()[index];
    devices.push_back(device.plan.name);
    if (sent && !device.socket.empty()) executors.push_back(device.socket);
    if (!sent && !device.uuid.empty()) gpus.push_back(device.uuid);
  }
  return {{"name", stream.need.name},
          {"devices", std::move(devices)},
          {"executors", std::move(executors)},
          {"gpus", std::move(gpus)},
          {"reason", stream.reason}};
}

}  // namespace stagger::daemon
