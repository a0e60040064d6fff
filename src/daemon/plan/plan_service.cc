#include "daemon/plan/plan_service.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/try.h"
#include "daemon/clients/engine_host.h"
#include "daemon/loop/spawn.h"
#include "daemon/plan/executor_measurements.h"
#include "daemon/plan/gpu_measurements.h"
#include "documents/json.h"
#include "documents/places.h"

namespace stagger::daemon {

using nlohmann::json;

namespace {

// Models are not loaded while others move, or apps start.
constexpr Duration kAheadAfter = std::chrono::milliseconds{500};
constexpr Duration kAheadStep = std::chrono::milliseconds{10};
// Events that wait for the worker; beyond this, measurements are not taken.
constexpr std::size_t kMostWaiting = 1024;
constexpr std::size_t kMostPlaces = 64;  // places in one packet
// Actions that are carried out at once: each may be a packet and a line of log.
constexpr std::size_t kMostCarried = 32;

documents::GivenPlace PlaceOf(const placement::PlanInForce& plan,
                              const placement::PlacedStream& stream) {
  documents::GivenPlace place{stream.need.name, {}, {}, {}, stream.reason};
  const bool sent = stream.need.kind == placement::DeviceKind::kExecutor;
  for (const std::uint32_t index : stream.on) {
    const placement::PlacedDevice& device = plan.devices()[index];
    place.devices.push_back(device.plan.name);
    if (sent && !device.socket.empty()) place.executors.push_back(device.socket);
    if (!sent && !device.uuid.empty()) place.gpus.push_back(device.uuid);
  }
  return place;
}

documents::GivenPlaces PlacesOf(const placement::PlanInForce& plan,
                                const std::vector<placement::PlacedStream>& streams) {
  documents::GivenPlaces places;
  for (const placement::PlacedStream& stream : streams) {
    places.streams.push_back(PlaceOf(plan, *plan.Find(stream.need.name)));
  }
  return places;
}

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
  owner.watch = STAGGER_TRY(
      loop_->Watch(owner.process.get(), EPOLLIN, [this, pid](std::uint32_t) { OnOwnerGone(pid); }));
  return &owners_.emplace(pid, std::move(owner)).first->second;
}

void PlanService::OnOwnerGone(pid_t pid) {
  const auto owner = owners_.find(pid);
  if (owner == owners_.end()) return;
  loop_->Unwatch(owner->second.watch);
  owners_.erase(owner);
  Step(placement::OwnerGone{pid});
}

std::optional<PlanService::Outcome> PlanService::Place(const json& body, pid_t owner,
                                                       Answer answer) {
  auto request = STAGGER_TRY(ParsePlaceRequest(body, devices_));
  if (worker_ == nullptr) {
    worker_ = STAGGER_TRY(Worker::Create(loop_));
  }
  const auto known = STAGGER_TRY(OwnerOf(owner));
  placement::Joined& draft = known->draft;
  const auto append = [](auto* to, auto* from) {
    to->insert(to->end(), std::move_iterator(from->begin()), std::move_iterator(from->end()));
  };
  append(&draft.devices, &request.devices);
  append(&draft.streams, &request.streams);
  append(&draft.places, &request.places);
  append(&draft.like, &request.like);
  // What is too much is refused by the plan, and not kept until then.
  const bool fits = draft.streams.size() <= placement::PlanInForce::kMostStreams &&
                    draft.devices.size() <= placement::PlanInForce::kMostDevices;
  if (request.more && fits) return documents::ToText(documents::GivenPlaces());
  placement::Joined joined = std::exchange(draft, {});
  joined.partial = request.partial;
  for (placement::PlacedDevice& device : joined.devices) device.owner = owner;
  for (placement::PlacedStream& stream : joined.streams) stream.owner = owner;
  Step(std::move(joined), std::move(answer));
  return std::nullopt;
}

std::optional<PlanService::Outcome> PlanService::Unplace(const json& body, Answer answer) {
  auto names = STAGGER_TRY(ParseNames(body));
  if (worker_ == nullptr) return documents::ToText(documents::GivenPlaces());
  Step(placement::Left{std::move(names)}, std::move(answer));
  return std::nullopt;
}

// Error: what the process asked for has been taken back.
Result<void> PlanService::WatchAll(const std::vector<placement::PlacedDevice>& devices) {
  for (const placement::PlacedDevice& device : devices) {
    if (auto watched = Watch(device); !watched) {
      Step(placement::OwnerGone{device.owner});
      return watched;
    }
  }
  return {};
}

Result<void> PlanService::Watch(const placement::PlacedDevice& device) {
  if (auto watched = WatchGpu(device); !watched || device.socket.empty()) return watched;
  const std::string name = device.plan.name;
  const bool is_gpu = !device.uuid.empty();
  watches_[name] = STAGGER_TRY(ExecutorWatch::Create(
      loop_, device.socket,
      {.gone =
           [this, name](const std::string& why) {
             spdlog::warn("the executor on {} is gone: {}", name, why);
             Step(placement::Presence{name, false, true, why});
           },
       .back =
           [this, name] {
             spdlog::info("the executor on {} is here again", name);
             Step(placement::Presence{name, true, true});
           },
       .told =
           [this, name, is_gpu,
            measurements = ExecutorMeasurements()](const std::string& status) mutable {
             // One on a GPU waits for turns there: its times say nothing of the device.
             if (!is_gpu) Step(placement::Measured{name, measurements.Read(status)});
           }}));
  return {};
}

Result<void> PlanService::WatchGpu(const placement::PlacedDevice& device) {
  const auto known = std::ranges::find(
      devices_, device.on,
      [](const device::Device& each) -> const auto& { return each.spec.name; });
  if (known == devices_.end() || !known->gpu) return {};
  if (gpus_ == nullptr) {
    gpus_ = STAGGER_TRY(GpuPresence::Create(loop_));
  }
  const std::string name = device.plan.name;
  const DeviceId id{static_cast<std::uint32_t>(known - devices_.begin())};
  gpus_->Watch(name, *known->gpu,
               {.gone =
                    [this, name](const std::string& why) {
                      spdlog::warn("{} is gone: {}", name, why);
                      Step(placement::Presence{name, false, false, why});
                    },
                .back =
                    [this, name] {
                      spdlog::info("{} is here again", name);
                      Step(placement::Presence{name, true, false});
                    },
                .use =
                    [this, name, id, gpu = *known->gpu,
                     measurements = GpuMeasurements()](const device::GpuUse& use) mutable {
                      Step(placement::Measured{
                          name, measurements.Read(gpu, use, id, host_->engine(), host_->ledger())});
                    }});
  return {};
}

void PlanService::LookAtGpus() {
  if (gpus_ != nullptr) gpus_->Look();
}

void PlanService::Step(placement::PlanEvent event, Answer answer) {
  const bool measurements = std::holds_alternative<placement::Measured>(event);
  if (measurements && happened_.size() >= kMostWaiting) return;
  happened_.push_back({std::move(event), Now(), std::move(answer)});
  if (!working_) GiveWork();
}

void PlanService::GiveWork() {
  const auto work = std::make_shared<Work>(Work{plan_, std::exchange(happened_, {})});
  working_ = worker_->Do([this, work]() -> Worker::FollowUp {
    Do(work.get());
    return [this, work] { OnWorked(work); };
  });
}

// The worker's thread.
void PlanService::Do(Work* work) {
  const auto plan = std::make_shared<placement::PlanInForce>(*work->before);
  for (Happened& each : work->happened) {
    Result<placement::PlanActions> actions = plan->Step(each.event, each.at);
    if (!actions) {
      each.outcome = actions.error();
      continue;
    }
    std::ranges::move(*actions, std::back_inserter(work->actions));
    if (!each.answer) continue;
    const auto* joined = std::get_if<placement::Joined>(&each.event);
    each.outcome = documents::ToText(joined != nullptr ? PlacesOf(*plan, joined->streams)
                                                       : documents::GivenPlaces());
  }
  work->after = plan;
}

void PlanService::OnWorked(const std::shared_ptr<Work>& work) {
  plan_ = work->after;
  for (const placement::PlacedDevice& device : work->before->devices()) {
    if (plan_->FindDevice(device.plan.name) != nullptr) continue;
    watches_.erase(device.plan.name);
    if (gpus_ != nullptr) gpus_->Forget(device.plan.name);
  }
  CarryOn(work, 0);
}

void PlanService::CarryOn(const std::shared_ptr<Work>& work, std::size_t from) {
  const std::size_t to = std::min(from + kMostCarried, work->actions.size());
  Carry(std::span(work->actions).subspan(from, to - from));
  if (to == work->actions.size()) {
    Finish(*work);
  } else {
    // The worker has nothing else to do, so that this goes on when the loop comes round.
    worker_->Do([this, work, to] { return [this, work, to] { CarryOn(work, to); }; });
  }
  acted_();
}

void PlanService::Finish(const Work& work) {
  working_ = false;
  for (const Happened& each : work.happened) {
    const auto* joined = std::get_if<placement::Joined>(&each.event);
    Result<void> watched;
    if (joined != nullptr && each.outcome) {
      spdlog::info("{} streams placed; {} devices, {} streams in all", joined->streams.size(),
                   plan_->devices().size(), plan_->streams().size());
      watched = WatchAll(joined->devices);
    }
    if (each.answer) each.answer(watched ? each.outcome : watched.error());
  }
  if (!happened_.empty() && !working_) GiveWork();
}

void PlanService::Carry(std::span<const placement::PlanAction> actions) {
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
      Step(placement::StandbyDue{ahead_next_});
      if (++ahead_next_ < plan_->devices().size()) ahead_timer_->ArmBy(Now() + kAheadStep);
    });
    if (!timer) return spdlog::warn("no models are loaded ahead: {}", timer.error().message);
    ahead_timer_ = std::move(timer).value();
  }
  ahead_next_ = 0;
  ahead_timer_->ArmBy(Now() + kAheadAfter);
}

std::optional<std::string> PlanService::PlacesSince(std::uint64_t* told, pid_t owner) const {
  if (*told >= plan_->changes()) return std::nullopt;
  std::vector<const placement::PlacedStream*> fresh;
  for (const placement::PlacedStream& stream : plan_->streams()) {
    if (stream.owner == owner && stream.change > *told) fresh.push_back(&stream);
  }
  std::ranges::sort(fresh, {}, &placement::PlacedStream::change);
  *told = plan_->changes();
  if (fresh.empty()) return std::nullopt;
  if (fresh.size() > kMostPlaces) {
    fresh.resize(kMostPlaces);
    *told = fresh.back()->change;
  }
  documents::GivenPlaces places;
  for (const placement::PlacedStream* stream : fresh) {
    places.streams.push_back(PlaceOf(*plan_, *stream));
  }
  return documents::ToText(places);
}

}  // namespace stagger::daemon
