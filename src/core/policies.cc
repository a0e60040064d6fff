#include "core/policies.h"

#include <algorithm>
#include <string>

namespace stagger::core {

Decision NextEdf(const DeviceView& view);
Decision NextFifo(const DeviceView& view);
Decision NextOff(const DeviceView& view);
Decision NextSpaced(const DeviceView& view);

namespace {

constexpr double kAbout = 1.05;  // demands are estimates

constexpr Policy kPolicies[] = {
    {.name = "off",
     .summary = "every body starts at once",
     .gates = false,
     .concurrent = false,
     .whole = false,
     .spaced = false,
     .overtakes = false,
     .next = NextOff},
    {.name = "serial",
     .summary = "whole inferences in order of request, at most k at once",
     .gates = true,
     .concurrent = true,
     .whole = true,
     .spaced = false,
     .overtakes = false,
     .next = NextFifo},
    {.name = "spaced",
     .summary = "bodies start a fixed time apart (the paper's)",
     .gates = true,
     .concurrent = false,
     .whole = false,
     .spaced = true,
     .overtakes = false,
     .next = NextSpaced},
    {.name = "fifo",
     .summary = "bodies in order of request, at most k at once",
     .gates = true,
     .concurrent = true,
     .whole = false,
     .spaced = false,
     .overtakes = false,
     .next = NextFifo},
    {.name = "edf",
     .summary = "the body that is due first, at most k at once",
     .gates = true,
     .concurrent = true,
     .whole = false,
     .spaced = false,
     .overtakes = true,
     .next = NextEdf},
};

}  // namespace

std::span<const Policy> Policies() { return kPolicies; }

const Policy* FindPolicy(std::string_view name) {
  const Policy* found = std::ranges::find(kPolicies, name, &Policy::name);
  return found == std::end(kPolicies) ? nullptr : found;
}

Result<void> Validate(const PolicySpec& spec) {
  if (FindPolicy(spec.name) == nullptr) {
    std::string known;
    for (const Policy& policy : kPolicies) {
      if (!known.empty()) known += ", ";
      known += policy.name;
    }
    return Error{"no policy is called '" + spec.name + "'; there are " + known};
  }
  if (spec.concurrency < 0 || spec.concurrency > kMaxConcurrency) {
    return Error{"a concurrency of " + std::to_string(spec.concurrency) + " is not in 0.." +
                 std::to_string(kMaxConcurrency)};
  }
  if (spec.spacing < Duration{} || spec.spacing > kMaxSpacing) {
    return Error{"a spacing of " + std::to_string(ToMs(spec.spacing)) + " ms is not in 0..60000"};
  }
  const double limit = spec.demand_limit;
  if (!(limit == 0 || (limit >= 1 && limit <= kMaxDemandLimit))) {
    return Error{"a demand limit of " + std::to_string(limit) + " is not in 1..64 (or 0: none)"};
  }
  if (limit > 0 && spec.auto_concurrency) {
    return Error{"a demand limit and concurrency auto: only one of them can say how many at once"};
  }
  return {};
}

std::optional<Reason> RoomFor(const WaitingTurn& turn, const DeviceView& view, Reason reason) {
  const DeviceState& device = view.device;
  if (device.in_force >= device.concurrency) return std::nullopt;
  const double limit = view.spec.demand_limit;
  if (limit == 0 || device.in_force == 0) return reason;
  double demands = turn.demand;
  for (const RunningTurn& running : device.running) {
    if (!running.expired) demands += running.demand;
  }
  if (demands <= kAbout * limit) return reason;
  if (!view.probe) return std::nullopt;
  // Only where nobody would be late even if they took turns at the smallest scale.
  const Duration::rep sharers = device.in_force + 1;
  const auto in_time = [&](const auto& body) {
    return view.now + sharers * body.expected <= body.body_due;
  };
  const bool harmless = in_time(turn) && std::ranges::all_of(device.running, in_time);
  return harmless ? std::optional(Reason::kProbe) : std::nullopt;
}

int Limit(const Policy& policy, const PolicySpec& spec, const DeviceState& device) {
  if (!policy.concurrent) return 1;
  if (spec.concurrency > 0) return spec.concurrency;
  if (spec.demand_limit > 0 && device.cores.empty()) return kMaxConcurrency;
  return std::max(1, static_cast<int>(device.cores.size()));
}

}  // namespace stagger::core
