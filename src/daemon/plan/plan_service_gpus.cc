// GPUs as devices of a plan: one that fails is a device that goes, one that others fill has less
// room.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/clock.h"
#include "daemon/plan/plan_service.h"

namespace stagger::daemon {

Result<void> PlanService::WatchGpu(const placement::PlacedDevice& device) {
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
  const DeviceId id{static_cast<std::uint32_t>(known - devices_.begin())};
  gpus_->Watch(name, *known->gpu,
               {.gone =
                    [this, name](const std::string& why) {
                      spdlog::warn("{} is gone: {}", name, why);
                      OnPresence(Change().DeviceGone(name, why, Now()));
                    },
                .back =
                    [this, name] {
                      spdlog::info("{} is here again", name);
                      OnPresence(Change().DeviceBack(name, Now()));
                    },
                .use =
                    [this, name, id, gpu = *known->gpu,
                     figures = GpuFigures()](const device::GpuUse& use) mutable {
                      OnFigures(name, read_gpu_(&figures, gpu, use, id));
                    }});
  return {};
}

void PlanService::LookAtGpus() {
  if (gpus_ != nullptr) gpus_->Look();
}

}  // namespace stagger::daemon
