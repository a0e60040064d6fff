#include "daemon/gpu/gpu_faults.h"

#include <algorithm>
#include <utility>

namespace stagger::daemon {
namespace {

// The driver says that somebody else did it, or nothing was heard.
bool BlamesOthers(std::uint32_t code) {
  return code == 0 || code == 46 || code == 806 || code == 810;
}

}  // namespace

std::string GpuErrorText(std::uint32_t code) {
  switch (code) {
    case 0:
      return "ended as the GPU failed";
    case 46:
      return "device unavailable";
    case 214:
      return "uncorrectable memory error";
    case 700:
      return "illegal address";
    case 702:
      return "launch timeout";
    case 710:
      return "assertion";
    case 714:
      return "hardware stack error";
    case 715:
      return "illegal instruction";
    case 716:
      return "misaligned address";
    case 717:
      return "invalid address space";
    case 718:
      return "invalid program counter";
    case 719:
      return "launch failed";
    case 806:
      return "the MPS server does not answer";
    case 810:
      return "another MPS client's fault";
    default:
      return "error " + std::to_string(code);
  }
}

const GpuFaults::Affected* GpuFaults::Fault::culprit() const {
  const Affected* found = nullptr;
  for (const Affected& one : affected) {
    if (BlamesOthers(one.code)) continue;
    if (found != nullptr) return nullptr;
    found = &one;
  }
  return found;
}

const GpuFaults::Fault& GpuFaults::Report(Affected affected, DeviceId device, TimePoint now) {
  const auto belongs = [&](const Fault& fault) {
    if (fault.device != device) return false;
    // The same name again: its process has been started anew since.
    const bool again = std::ranges::any_of(fault.affected, [&](const Affected& one) {
      return one.name == affected.name && one.code != 0;
    });
    const bool goes_on = std::ranges::any_of(fault.affected, &Affected::here);
    const bool together = fault.shared || mps_runs_() || BlamesOthers(affected.code);
    return !again && together && (goes_on || now - fault.at <= kTogether);
  };
  const auto found = std::find_if(recent_.rbegin(), recent_.rend(), belongs);
  const bool is_new = found == recent_.rend();
  if (is_new) {
    Fault fresh;
    fresh.number = ++last_number_;
    ++counts_[device];
    fresh.device = device;
    fresh.at = now;
    recent_.push_back(std::move(fresh));
    if (recent_.size() > kKept) recent_.pop_front();
  }
  Fault& fault = is_new ? recent_.back() : *found;
  fault.shared = fault.shared || mps_runs_() || BlamesOthers(affected.code);
  // Its name, of one that had left before: that was an earlier process.
  std::erase_if(fault.affected, [&](const Affected& one) { return one.name == affected.name; });
  fault.affected.push_back(std::move(affected));
  if (fault.shared) AddDeparted(&fault, now);
  return fault;
}

void GpuFaults::AddDeparted(Fault* fault, TimePoint now) {
  for (const Departed& gone : departed_) {
    if (gone.device != fault->device || now - gone.at > kTogether) continue;
    if (std::ranges::count(fault->affected, gone.affected.name, &Affected::name) == 0) {
      fault->affected.push_back(gone.affected);
    }
  }
}

void GpuFaults::Left(Affected affected, const std::vector<DeviceId>& used, TimePoint now) {
  bool known = false;
  for (Fault& fault : recent_) {
    for (Affected& one : fault.affected) {
      if (one.client != affected.client) continue;
      one.here = false;
      known = true;
    }
  }
  if (known) return;
  affected.code = 0;
  affected.here = false;
  for (const DeviceId device : used) {
    departed_.push_back({affected, device, now});
    if (departed_.size() > kKept) departed_.pop_front();
    for (Fault& fault : recent_) {
      if (fault.shared && now - fault.at <= kTogether) AddDeparted(&fault, now);
    }
  }
}

const GpuFaults::Affected* GpuFaults::Of(ClientId client) const {
  for (const Fault& fault : recent_) {
    const auto found = std::ranges::find(fault.affected, client, &Affected::client);
    if (found != fault.affected.end()) return &*found;
  }
  return nullptr;
}

std::uint64_t GpuFaults::CountOn(DeviceId device) const {
  const auto found = counts_.find(device);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<GpuFaults::Fault> GpuFaults::TakeUnlogged() {
  std::vector<Fault> fresh;
  for (Fault& fault : recent_) {
    if (!std::exchange(fault.logged, true)) fresh.push_back(fault);
  }
  return fresh;
}

}  // namespace stagger::daemon
