#include <algorithm>

#include "base/check.h"
#include "core/engine_impl.h"
#include "core/wait_bound.h"

namespace stagger::core {

Stream* Engine::Impl::FindStream(ClientId client) {
  const auto found = streams.find(client);
  if (found == streams.end()) {
    ++invalid;
    return nullptr;
  }
  return &found->second;
}

void Engine::Impl::On(const ClientJoined& event) {
  const auto [place, is_new] = streams.try_emplace(event.client);
  Stream& stream = place->second;
  if (!is_new) {
    ++stream.counters.invalid;
    return;
  }
  stream.spec = event.spec;
  if (!(stream.spec.required_fps >= 0)) stream.spec.required_fps = 0;
  if (!(stream.spec.weight > 0)) stream.spec.weight = 1;
  stream.spec.deadline = std::max(stream.spec.deadline, Duration{});
  if (!(stream.spec.min_fps >= 0)) stream.spec.min_fps = 0;
  stream.joined = now;
  stream.seats.resize(devices.size());
  SetLease(stream);
  EndExclusiveEverywhere(Reason::kClientsChange);  // it may use any of them
  Tell(event.client, stream, Reason::kClientsChange);
  TellWhereWorthIt(Reason::kClientsChange);
}

void Engine::Impl::On(const ClientLeft& event) {
  const auto found = streams.find(event.client);
  if (found == streams.end()) {
    ++invalid;
    return;
  }
  Stream& stream = found->second;
  std::vector<DeviceId> freed;
  for (std::uint32_t id = 0; id < devices.size(); ++id) {
    if (stream.seats[id].holds == Seat::Holds::kRuns) freed.push_back(DeviceId{id});
    Leave(devices[id], event.client, stream.seats[id]);
    ForgetUser(devices[id], event.client);
  }
  leases -= stream.lease;
  streams.erase(found);
  for (const DeviceId device : freed) Dispatch(device, Reason::kHolderGone);
  UpdateRates();
  TellWhereWorthIt(Reason::kClientsChange);
}

void Engine::Impl::On(const WarmupPassed& event) {
  if (Stream* stream = FindStream(event.client)) stream->counters.warmup += event.count;
}

// It took no turn here, so it weighs on no device: the executor's own stream is what competes.
void Engine::Impl::On(const InferenceForwarded& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  const Duration call = Sane(event.call, *stream);
  stream->call.Add(call);
  ++stream->counters.done;
  ++stream->counters.forwarded;
  const Duration deadline = stream->spec.deadline;
  if (deadline > Duration{} && call > deadline) ++stream->counters.late_deadline;
}

void Engine::Impl::On(const PolicySet& event) {
  if (!Validate(event.policy)) {
    ++invalid;
    return;
  }
  const bool gated_before = policy->gates;
  SetPolicy(event.policy);
  EndExclusiveEverywhere(policy->gates ? Reason::kPolicyChange : Reason::kPolicyOff);
  if (policy->gates && !gated_before) {
    // Bodies that began ungated do occupy the device, so they count against k: else the first turns
    // under the new policy would collide with them. From here on they have a lease like any other,
    // so that one that hangs cannot hold the device for ever.
    for (DeviceState& device : devices) {
      for (RunningTurn& turn : device.running) {
        if (turn.lease_end == kNever) turn.lease_end = now + streams.at(turn.client).lease;
      }
    }
  }
  UpdateRates();
  const Reason reason = policy->gates ? Reason::kPolicyChange : Reason::kPolicyOff;
  TellWhereWorthIt(reason);
  for (std::uint32_t id = 0; id < devices.size(); ++id) Dispatch(DeviceId{id}, reason);
}

void Engine::Impl::On(const RateCapped& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  if (!(event.fps >= 0)) {
    ++stream->counters.invalid;
    return;
  }
  stream->cap_fps = event.fps;
  UpdateRates();
  TellWhereWorthIt(Reason::kRatesChange);
}

void Engine::Impl::On(const ExcessHandled& event) {
  Stream* stream = FindStream(event.client);
  if (stream == nullptr) return;
  stream->counters.skipped += event.skipped;
  stream->counters.deferred += event.deferred;
  if (event.refused) ++stream->counters.reuse_refused;
}

void Engine::Impl::SetPolicy(const PolicySpec& spec) {
  config.policy = spec;
  policy = FindPolicy(spec.name);
  CHECK(policy != nullptr);
  tuners.clear();
  if (spec.auto_concurrency && policy->concurrent) {
    for (std::uint32_t id = 0; id < devices.size(); ++id) {
      tuners.emplace_back(now, LoadFor(DeviceId{id}));
    }
  }
  for (std::size_t id = 0; id < devices.size(); ++id) {
    devices[id].concurrency =
        tuners.empty() ? Limit(*policy, spec, devices[id]) : tuners[id].limit();
  }
}

void Engine::Impl::SetLease(Stream& stream) {
  // The ceiling comes before the cast: a factor is a number the owner chose, and may be huge.
  const double wanted =
      config.lease_factor * static_cast<double>(stream.body.Quantile(0.99).count());
  const double most = static_cast<double>(config.lease_ceiling.count());
  const Duration lease{static_cast<Duration::rep>(std::min(wanted, most))};
  leases -= stream.lease;
  stream.lease = std::max(lease, config.lease_floor);
  leases += stream.lease;
}

// The bound holds on every device: any of the others may come to any of them.
Duration Engine::Impl::BoundFor(const Stream& stream) const {
  // While k is being found, any may be tried.
  int k = tuners.empty() ? kMaxConcurrency : 1;
  // With a demand limit bodies may come to run one at a time.
  for (const DeviceState& device : devices) {
    k = std::min(k, static_cast<int>(SlotsOf(device)));
  }
  Duration before{};
  if (policy->overtakes) {
    // Until its body is due others may pass it again and again; from then on each at most once.
    before = stream.spec.deadline > Duration{} ? stream.spec.deadline : kPatience;
  }
  if (policy->spaced) {
    before = config.policy.spacing * static_cast<Duration::rep>(streams.size());
  }
  // Its slot may be a period away, and open two periods later.
  if (stream.assigned_fps > 0) before += 3 * PeriodOf(stream.assigned_fps);
  return WaitBound(before, leases - stream.lease, k);
}

// An agent that answers early calls must know which are early. Other calls are held back here; but
// calls that executors run ask for no turn, so a lowered rate of theirs is for the agent to keep.
Duration Engine::Impl::PeriodFor(const Stream& stream) {
  if (!(stream.spec.required_fps > 0) || stream.spec.excess == Excess::kPass) return {};
  const bool elsewhere = stream.assigned_fps == 0 && stream.cap_fps > 0;
  if (elsewhere) return PeriodOf(std::min(stream.cap_fps, stream.spec.required_fps));
  if (stream.spec.excess != Excess::kReuse) return {};
  return PeriodOf(stream.assigned_fps > 0 ? stream.assigned_fps : stream.spec.required_fps);
}

void Engine::Impl::Tell(ClientId client, Stream& stream, Reason reason) {
  stream.told_gating = policy->gates;
  stream.told_bound = BoundFor(stream);
  stream.told_period = PeriodFor(stream);
  actions->push_back(Configure{client, stream.told_gating, stream.told_bound, reason,
                               stream.told_period, ExclusiveFor(client)});
}

void Engine::Impl::TellWhereWorthIt(Reason reason) {
  leases_told = leases;
  for (auto& [client, stream] : streams) {
    if (stream.told_gating != policy->gates || stream.told_period != PeriodFor(stream) ||
        WorthTelling(stream.told_bound, BoundFor(stream))) {
      Tell(client, stream, reason);
    }
  }
}

}  // namespace stagger::core
