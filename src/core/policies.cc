#include "core/policies.h"

#include <algorithm>
#include <string>

namespace stagger::core {

Decision NextEdf(const DeviceView& view);
Decision NextFifo(const DeviceView& view);
Decision NextOff(const DeviceView& view);
Decision NextSpaced(const DeviceView& view);

namespace {

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
  return {};
}

int Limit(const Policy& policy, const PolicySpec& spec, const DeviceState& device) {
  if (!policy.concurrent) return 1;
  if (spec.concurrency > 0) return spec.concurrency;
  return std::max(1, static_cast<int>(device.cores.size()));
}

}  // namespace stagger::core
