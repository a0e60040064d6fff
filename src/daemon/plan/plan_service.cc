#include "daemon/plan/plan_service.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "daemon/loop/spawn.h"

namespace stagger::daemon {

using nlohmann::json;

namespace {

// Models are not loaded while others move, or apps start.
constexpr Duration kStandbyAfter = std::chrono::milliseconds{500};
constexpr Duration kStandbyStep = std::chrono::milliseconds{10};
// Figures that wait while others are measured; beyond this the oldest are forgotten.
constexpr std::size_t kMostFigures = 1024;
// Places in one packet.
constexpr std::size_t kMostTold = 64;

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

Result<std::vector<placement::PlacedStream>> PlanService::StreamsOf(PlaceRequest* request,
                                                                    pid_t owner) const {
  std::map<std::string, std::uint32_t> number;
  for (const placement::PlacedDevice& device : placement_.devices()) {
    number.emplace(device.plan.name, static_cast<std::uint32_t>(number.size()));
  }
  for (const placement::PlacedDevice& device : request->devices) {
    if (!number.emplace(device.plan.name, static_cast<std::uint32_t>(number.size())).second) {
      return Error{
          fmt::format("device '{}' is there already; expected another name", device.plan.name)};
    }
  }
  std::vector<placement::PlacedStream> streams = std::move(request->streams);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    placement::PlacedStream& stream = streams[i];
    stream.owner = owner;
    for (const std::string& name : request->places[i]) {
      const auto device = number.find(name);
      if (device == number.end()) {
        return Error{fmt::format("stream '{}': there is no device '{}'", stream.need.name, name)};
      }
      stream.on.push_back(device->second);
    }
    if (request->like[i].empty()) {
      if (stream.need.kind != placement::DeviceKind::kAny) continue;
      const auto kind = OnlyKind();
      if (!kind) {
        return Error{
            fmt::format("stream '{}': the plan has executors and GPUs; expected an app that "
                        "it is like (--like)",
                        stream.need.name)};
      }
      stream.need.kind = *kind;
      continue;
    }
    const auto like =
        std::ranges::find_if(placement_.streams(), [&](const placement::PlacedStream& each) {
          return each.need.app == request->like[i] || each.need.name == request->like[i];
        });
    if (like == placement_.streams().end()) {
      return Error{
          fmt::format("stream '{}': there is no app '{}' to be like: expected one that has "
                      "a place",
                      stream.need.name, request->like[i])};
    }
    placement::StreamNeed need = like->need;
    need.name = stream.need.name;
    need.fps = stream.need.fps;
    need.deadline = stream.need.deadline;
    need.most_parts = stream.need.most_parts;
    stream.need = std::move(need);
  }
  return streams;
}

std::optional<placement::DeviceKind> PlanService::OnlyKind() const {
  const std::vector<placement::PlacedDevice>& devices = placement_.devices();
  // A GPU with an executor takes both kinds.
  const bool same = !devices.empty() &&
                    std::ranges::none_of(devices, &placement::PlacedDevice::shared_with_executor) &&
                    std::ranges::all_of(devices, [&](const placement::PlacedDevice& each) {
                      return each.plan.kind == devices.front().plan.kind;
                    });
  return same ? std::optional(devices.front().plan.kind) : std::nullopt;
}

Result<json> PlanService::Place(const json& body, pid_t owner, TimePoint now) {
  auto request = ParsePlaceRequest(body, devices_);
  if (!request) return request.error();
  const auto known = OwnerOf(owner);
  if (!known) return known.error();
  PlaceRequest& draft = (*known)->draft;
  const auto append = [](auto* to, auto* from) {
    to->insert(to->end(), std::move_iterator(from->begin()), std::move_iterator(from->end()));
  };
  append(&draft.devices, &request->devices);
  append(&draft.streams, &request->streams);
  append(&draft.places, &request->places);
  append(&draft.like, &request->like);
  const bool too_many = draft.streams.size() + placement_.streams().size() > kMostStreams ||
                        draft.devices.size() + placement_.devices().size() > kMostDevices;
  if (request->more && !too_many) return json::object();
  PlaceRequest whole = std::exchange(draft, PlaceRequest{});
  if (too_many) {
    return Error{
        fmt::format("place: {} streams on {} devices are the most", kMostStreams, kMostDevices)};
  }
  if (placement_.devices().empty() && whole.devices.empty()) {
    return Error{
        "this daemon has no plan: expected a site started with 'stagger up' whose devices "
        "say what they are on"};
  }
  auto streams = StreamsOf(&whole, owner);
  if (!streams) return streams.error();
  std::vector<std::string> names;
  for (const placement::PlacedStream& stream : *streams) names.push_back(stream.need.name);
  for (placement::PlacedDevice& device : whole.devices) device.owner = owner;
  std::vector<std::string> added;
  for (const placement::PlacedDevice& device : whole.devices) added.push_back(device.plan.name);
  const auto changed =
      Change().Add(std::move(whole.devices), std::move(streams).value(), request->partial, now);
  if (!changed) return changed.error();
  for (const std::string& name : added) {
    if (const auto watched = Watch(*placement_.FindDevice(name)); !watched) {
      Apply(Change().RemoveOwner(owner, now));
      return watched.error();
    }
  }
  Apply(*changed);
  spdlog::info("{} streams placed for pid {}; {} devices, {} streams in all", names.size(), owner,
               placement_.devices().size(), placement_.streams().size());
  json places = json::array();
  for (const std::string& name : names) places.push_back(PlaceOf(*placement_.Find(name)));
  return json{{"streams", std::move(places)}};
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
             OnPresence(Change().ExecutorGone(name, why, Now()));
           },
       .back =
           [this, name] {
             spdlog::info("the executor on {} is here again", name);
             OnPresence(Change().ExecutorBack(name, Now()));
           },
       .told =
           [this, name, is_gpu, figures = ExecutorFigures()](const std::string& status) mutable {
             // One on a GPU waits for turns there: its times say nothing of the device.
             if (!is_gpu) OnFigures(name, figures.Read(status));
           }});
  if (!watch) return watch.error();
  watches_[name] = std::move(watch).value();
  return {};
}

void PlanService::OnPresence(const placement::PlanInForce::Changed& changed) {
  Apply(changed);
  acted_();
}

void PlanService::OnFigures(const std::string& device, const placement::DeviceFigures& figures) {
  if (measuring_ == nullptr) {
    auto created = MeasureWorker::Create(
        loop_, [this](MeasureWorker::Outcome outcome) { OnMeasured(std::move(outcome)); });
    if (!created) return spdlog::warn("devices are not measured: {}", created.error().message);
    measuring_ = std::move(created).value();
  }
  if (told_.size() >= kMostFigures) told_.erase(told_.begin());
  told_.push_back({device, figures, Now()});
  MeasureNext();
}

void PlanService::MeasureNext() {
  if (measuring_->busy() || told_.empty()) return;
  measured_changes_ = changes_;
  measuring_->Start(placement_, std::exchange(told_, {}));
}

void PlanService::OnMeasured(MeasureWorker::Outcome outcome) {
  if (measured_changes_ != changes_) {
    told_.insert(told_.begin(), std::make_move_iterator(outcome.told.begin()),
                 std::make_move_iterator(outcome.told.end()));
    return MeasureNext();
  }
  const std::uint64_t noted = placement_.noted();
  placement_ = std::move(outcome.plan);
  TellNews(noted, outcome.changed);
  MeasureNext();
}

void PlanService::TellNews(std::uint64_t noted, const placement::PlanInForce::Changed& changed) {
  TellRates();
  if (placement_.noted() == noted) return acted_();
  const std::size_t fresh =
      std::min<std::size_t>(placement_.noted() - noted, placement_.events().size());
  for (std::size_t i = placement_.events().size() - fresh; i < placement_.events().size(); ++i) {
    spdlog::warn("{}", placement_.events()[i].text);
  }
  Apply(changed);
  acted_();
}

// Lowered rates are told every time: a stream that has just joined has not heard of its own.
void PlanService::TellRates() {
  for (const placement::PlacedStream& stream : placement_.streams()) {
    if (stream.lowered_fps > 0) {
      lowered_.insert(stream.need.name);
    } else if (lowered_.erase(stream.need.name) == 0) {
      continue;
    }
    cap_(stream.need.name, stream.lowered_fps);
  }
}

void PlanService::OnOwnerGone(pid_t pid) {
  const auto owner = owners_.find(pid);
  if (owner == owners_.end()) return;
  loop_->Unwatch(owner->second.watch);
  owners_.erase(owner);
  std::vector<std::string> names;
  for (const placement::PlacedStream& stream : placement_.streams()) {
    if (stream.owner == pid) names.push_back(stream.need.name);
  }
  Forget(names);
  for (const placement::PlacedDevice& device : placement_.devices()) {
    if (device.owner == pid && gpus_ != nullptr) gpus_->Forget(device.plan.name);
  }
  Apply(Change().RemoveOwner(pid, Now()));
  acted_();
  std::erase_if(watches_,
                [&](const auto& entry) { return placement_.FindDevice(entry.first) == nullptr; });
}

void PlanService::Apply(const placement::PlanInForce::Changed& changed) {
  PlanStandbySoon();
  for (const std::string& name : changed) {
    const placement::PlacedStream* stream = placement_.Find(name);
    if (stream == nullptr) continue;
    if (stream->need.kind == placement::DeviceKind::kExecutor) {
      assign_(name, SocketsOf(stream->on), stream->reason);
    } else {
      spdlog::info("stream '{}' is on {} from its next start on: {}", name,
                   placement_.PlaceOf(*stream), stream->reason);
    }
    if (stream->on.empty()) spdlog::warn("stream '{}' has no device: {}", name, stream->reason);
  }
}

void PlanService::PlanStandbySoon() {
  if (!standby_timer_) {
    auto timer = Timer::Create(loop_, [this] { PlanStandby(); });
    if (!timer) return spdlog::warn("no models are loaded ahead: {}", timer.error().message);
    standby_timer_ = std::move(timer).value();
  }
  standby_next_ = 0;
  standby_timer_->ArmBy(Now() + kStandbyAfter);
}

void PlanService::PlanStandby() {
  const placement::PlanInForce::Changed changed = placement_.PlanStandby(standby_next_);
  if (!changed.empty()) ++changes_;
  for (const std::string& name : changed) {
    standby_(name, SocketsOf(placement_.Find(name)->standby));
  }
  acted_();
  if (++standby_next_ < placement_.devices().size()) standby_timer_->ArmBy(Now() + kStandbyStep);
}

std::vector<std::string> PlanService::SocketsOf(const placement::PlacedOn& on) const {
  std::vector<std::string> sockets;
  for (const std::uint32_t device : on) {
    sockets.push_back(placement_.devices()[device].socket);
  }
  return sockets;
}

Result<json> PlanService::Unplace(const json& body, TimePoint now) {
  const auto names = ParseNames(body);
  if (!names) return names.error();
  Forget(*names);
  Apply(Change().Remove(*names, now));
  return json::object();
}

void PlanService::Forget(const std::vector<std::string>& streams) {
  for (const std::string& name : streams) {
    const placement::PlacedStream* stream = placement_.Find(name);
    if (stream == nullptr || stream->need.kind != placement::DeviceKind::kExecutor) continue;
    assign_(name, std::nullopt, "");
  }
}

std::optional<json> PlanService::PlacesSince(std::uint64_t* told, pid_t owner) const {
  if (*told >= placement_.changes()) return std::nullopt;
  std::vector<const placement::PlacedStream*> fresh;
  for (const placement::PlacedStream& stream : placement_.streams()) {
    if (stream.owner == owner && stream.change > *told) fresh.push_back(&stream);
  }
  std::ranges::sort(fresh, {}, &placement::PlacedStream::change);
  *told = placement_.changes();
  if (fresh.empty()) return std::nullopt;
  if (fresh.size() > kMostTold) {
    fresh.resize(kMostTold);
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
    const placement::PlacedDevice& device = placement_.devices()[index];
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
