// GPUs as devices of a plan: one that fails is a device that goes.
#include <algorithm>

#include "daemon/placement_desk.h"

namespace stagger::daemon {

Result<void> PlacementDesk::WatchGpu(const PlacedDevice& device) {
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
  gpus_->Watch(name, *known->gpu,
               {.gone = [this, name](const std::string& why) { OnGone(name, why); },
                .back = [this, name] { OnBack(name); }});
  return {};
}

void PlacementDesk::LookAtGpus() {
  if (gpus_ != nullptr) gpus_->Look();
}

}  // namespace stagger::daemon
