#include "core/policies.h"

#include <algorithm>
#include <string>
#include <vector>

namespace stagger::core {

namespace {

constexpr double kAbout = 1.05;  // occupancies are estimates

// Nothing is gated. An agent that asked before it heard so must not be kept waiting.
Decision NextOff(const DeviceView& view) {
  if (view.device.waiting.empty()) return {};
  return {.next = 0, .reason = Reason::kPolicyOff};
}

// In order of request, at most k at once.
Decision NextFifo(const DeviceView& view) {
  if (view.device.waiting.empty()) return {};
  const auto reason = RoomFor(view.device.waiting.front(), view, view.cause);
  if (!reason) return {};
  return {.next = 0, .reason = *reason};
}

// Starts a fixed time apart, in order of request, whether or not the last body has ended by then:
// the timing control of Suzuki et al. (60 ms for a body of 45).
Decision NextSpaced(const DeviceView& view) {
  if (view.device.waiting.empty()) return {};
  if (!view.device.last_grant) return {.next = 0, .reason = view.cause};
  const TimePoint next = *view.device.last_grant + view.spec.spacing;
  if (next > view.now) return {.not_before = next};
  return {.next = 0, .reason = Reason::kSpacing};
}

// Earliest deadline first, at most k at once. What counts is when the body is due, not the frame:
// between two frames due at the same time, the one with the longer post phase must go first.
Decision NextEdf(const DeviceView& view) {
  const auto& waiting = view.device.waiting;
  if (waiting.empty()) return {};
  // The first of equals: in order of request among bodies due at the same time.
  const auto first = std::ranges::min_element(waiting, {}, &WaitingTurn::body_due);
  const auto index = static_cast<std::size_t>(first - waiting.begin());
  const auto reason = RoomFor(*first, view, index == 0 ? view.cause : Reason::kDeadline);
  if (!reason) return {};
  return {.next = index, .reason = *reason};
}

constexpr Policy kPolicies[] = {
    {.name = "off",
     .sentence = "every body starts at once",
     .order = "nothing waits",
     .next = NextOff,
     .gates = false,
     .concurrent = false},
    {.name = "serial",
     .sentence = "whole inferences in order of request, at most k at once",
     .order = "the first request goes first",
     .next = NextFifo,
     .whole = true},
    {.name = "spaced",
     .sentence = "bodies start a fixed time apart (the paper's)",
     .order = "the first request goes first",
     .next = NextSpaced,
     .concurrent = false,
     .spaced = true},
    {.name = "fifo",
     .sentence = "bodies in order of request, at most k at once",
     .order = "the first request goes first",
     .next = NextFifo},
    {.name = "edf",
     .sentence = "the body that is due first, at most k at once",
     .order = "the body that is due first goes first",
     .next = NextEdf,
     .overtakes = true},
};

bool Knows(TurnsOf use, const Policy& policy) {
  return use == TurnsOf::kSimulations || !policy.whole;
}

std::vector<const Policy*> Of(TurnsOf use) {
  std::vector<const Policy*> policies;
  for (const Policy& policy : kPolicies) {
    if (Knows(use, policy)) policies.push_back(&policy);
  }
  return policies;
}

}  // namespace

std::span<const Policy> Policies() { return kPolicies; }

const Policy* FindPolicy(std::string_view name) {
  const Policy* found = std::ranges::find(kPolicies, name, &Policy::name);
  return found == std::end(kPolicies) ? nullptr : found;
}

std::string PolicyNames(TurnsOf use) {
  std::string names;
  for (const Policy* policy : Of(use)) {
    if (!names.empty()) names += ", ";
    names += policy->name;
  }
  return names;
}

std::string PolicyChoices(TurnsOf use) {
  const std::vector<const Policy*> policies = Of(use);
  std::string choices;
  for (const Policy* policy : policies) {
    if (!choices.empty()) choices += policy == policies.back() ? " or " : ", ";
    choices += policy->name;
    choices += " (";
    choices += policy->sentence;
    choices += ")";
  }
  return choices;
}

Result<void> CheckPolicyName(const std::string& name, TurnsOf use) {
  const Policy* policy = FindPolicy(name);
  if (policy == nullptr) return Error{name + " is not a policy; known: " + PolicyNames(use)};
  if (Knows(use, *policy)) return {};
  return Error{name +
               " is for simulations only, since an app's turn ends with its body; use fifo with "
               "concurrency 1"};
}

Result<void> Validate(const PolicySpec& spec, TurnsOf use) {
  if (auto named = CheckPolicyName(spec.name, use); !named) return named.error();
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
  double occupancies = turn.occupancy;
  for (const RunningTurn& running : device.running) {
    if (!running.expired) occupancies += running.occupancy;
  }
  if (occupancies <= kAbout * limit) return reason;
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
