#include "core/policies.h"

#include <algorithm>
#include <string>

namespace stagger::core {

Decision NextFifo(const DeviceView& view);
Decision NextOff(const DeviceView& view);

namespace {

constexpr Policy kPolicies[] = {
    // name, summary, gates, concurrent, next
    {"off", "every body starts at once", false, false, NextOff},
    {"fifo", "in order of request, at most k at once", true, true, NextFifo},
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
  return {};
}

int Limit(const Policy& policy, const PolicySpec& spec, const DeviceState& device) {
  if (!policy.concurrent) return 1;
  if (spec.concurrency > 0) return spec.concurrency;
  return std::max(1, static_cast<int>(device.cores.size()));
}

}  // namespace stagger::core
