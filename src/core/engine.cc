#include "core/engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "core/engine_impl.h"

namespace stagger::core {
namespace {

Result<void> ValidateConfig(const EngineConfig& config) {
  if (config.devices.empty()) return Error{"there is no device to share"};
  for (const DeviceSpec& device : config.devices) {
    std::vector<std::uint16_t> cores = device.cores;
    std::ranges::sort(cores);
    const auto twice = std::ranges::adjacent_find(cores);
    if (twice != cores.end()) {
      return Error{"device '" + device.name + "' lists core " + std::to_string(*twice) + " twice"};
    }
  }
  if (config.lease_floor <= Duration{} || config.lease_ceiling < config.lease_floor ||
      !(config.lease_factor >= 1.0)) {
    return Error{"leases need 0 < floor <= ceiling, and a factor of at least 1"};
  }
  return Validate(config.policy);
}

}  // namespace

Engine::Impl::Impl(EngineConfig engine_config) : config(std::move(engine_config)) {
  for (const DeviceSpec& spec : config.devices) {
    DeviceState& device = devices.emplace_back();
    device.name = spec.name;
    device.cores = spec.cores;
    std::ranges::sort(device.cores);
  }
  ask_again.assign(devices.size(), kNever);
  SetPolicy(config.policy);
}

void Engine::Impl::Step(const Event& event, TimePoint at) {
  PassTime(at);
  // A client that left needs no word of its lease: its turns go back as those of the gone.
  if (!std::holds_alternative<ClientLeft>(event)) ExpireLeases();
  std::visit([this](const auto& e) { On(e); }, event);
  if (!tuners.empty()) Tune();
  if (std::holds_alternative<ClientLeft>(event)) ExpireLeases();
  for (std::uint32_t id = 0; id < devices.size(); ++id) {
    if (ask_again[id] <= now) Dispatch(DeviceId{id}, Reason::kFree);
  }
}

void Engine::Impl::PassTime(TimePoint at) {
  // A clock that went backwards must not make durations negative; time stands still instead.
  if (at <= now) return;
  for (DeviceState& device : devices) Accrue(device, at - now);
  now = at;
}

void Engine::Impl::Tune() {
  for (std::uint32_t id = 0; id < devices.size(); ++id) {
    if (tuners[id].next() > now) continue;
    DeviceState& device = devices[id];
    const bool changed = tuners[id].Advance(now, LoadFor(DeviceId{id}));
    device.concurrency = tuners[id].limit();
    if (!changed) continue;
    if (device.overloaded()) UpdateRates(DeviceId{id});  // what fits depends on the limit
    Dispatch(DeviceId{id}, Reason::kPolicyChange);
  }
}

ConcurrencyTuner::Load Engine::Impl::LoadFor(DeviceId id) const {
  const DeviceState& device = devices[id.value];
  const bool rated = std::ranges::any_of(streams, [id](const auto& entry) {
    return entry.second.last_device == id && entry.second.spec.required_fps > 0;
  });
  return {.streams = static_cast<int>(streams.size()),
          .safe = rated ? Limit(*policy, config.policy, device) : 0,
          .exceeds = device.overloaded()};
}

Result<Engine> Engine::Create(EngineConfig config) {
  if (const Result<void> valid = ValidateConfig(config); !valid) return valid.error();
  return Engine(std::make_unique<Impl>(std::move(config)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

void Engine::Step(const Event& event, TimePoint now, std::vector<Action>* actions) {
  CHECK(actions != nullptr);
  impl_->actions = actions;
  impl_->Step(event, now);
  impl_->actions = nullptr;
}

std::vector<Action> Engine::Step(const Event& event, TimePoint now) {
  std::vector<Action> actions;
  Step(event, now, &actions);
  return actions;
}

TimePoint Engine::NextDeadline() const {
  TimePoint next = kNever;
  for (const TimePoint ask : impl_->ask_again) next = std::min(next, ask);
  // Where nobody is, there is nothing to find out.
  if (!impl_->streams.empty()) {
    for (const ConcurrencyTuner& tuner : impl_->tuners) next = std::min(next, tuner.next());
  }
  for (const DeviceState& device : impl_->devices) {
    for (const RunningTurn& turn : device.running) {
      if (!turn.expired) next = std::min(next, turn.lease_end);
    }
  }
  return next;
}

const std::map<ClientId, Stream>& Engine::streams() const { return impl_->streams; }
std::span<const DeviceState> Engine::devices() const { return impl_->devices; }
DeviceTimes Engine::TimesAt(DeviceId device, TimePoint now) const {
  return TimesAfter(impl_->At(device), std::max(now - impl_->now, Duration{}));
}
const PolicySpec& Engine::policy() const { return impl_->config.policy; }
std::uint64_t Engine::invalid_events() const { return impl_->invalid; }

}  // namespace stagger::core
