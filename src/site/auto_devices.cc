#include "site/auto_devices.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/cores.h"
#include "device/device_choice.h"

namespace stagger::cli {
namespace {

bool IsAuto(const Site& site) { return site.devices == "auto" && site.declared.empty(); }
bool Runs(const SiteApp& app, bool executor) { return app.executor == executor; }

}  // namespace

bool AutoNeedsPlan(const Site& site) {
  if (!IsAuto(site)) return false;
  const auto in_executor = [](const SiteApp& app) { return Runs(app, true); };
  const auto known_here = [](const SiteApp& app) { return app.profile && app.profile->here; };
  return std::ranges::any_of(site.apps, in_executor) || std::ranges::all_of(site.apps, known_here);
}

Result<void> DeclareAuto(Site* site) {
  if (!IsAuto(*site)) return {};
  const Result<std::unique_ptr<device::Nvidia>> nvidia = device::Nvidia::Open();
  return Declare(UsableCores(), nvidia ? (*nvidia)->gpus() : std::vector<device::Gpu>(),
                 nvidia ? "NVML finds none" : nvidia.error().message, site);
}

Result<void> Declare(std::span<const unsigned> cores, std::span<const device::Gpu> gpus,
                     const std::string& why_no_gpus, Site* site) {
  if (!IsAuto(*site)) return {};
  for (const SiteApp& app : site->apps) {
    if (!app.profile || app.profile->here) continue;
    return Error{fmt::format(
        "devices: auto: {} has a profile, and nobody knows how fast this machine is beside the "
        "device it was taken on; expected 'here: true' in the profile if that was this machine, no "
        "profile (it is tried then), or devices with their speed: [{{name: a, on: cpu:0, speed: "
        "1}}]",
        app.stream.name)};
  }
  std::vector<SiteDevice> found;
  const auto add = [&found](const std::string& on, placement::DeviceKind kind, double memory_gb) {
    SiteDevice device;
    device.on = on;
    device.plan = {on, 1, memory_gb, kind};
    found.push_back(std::move(device));
  };
  const auto some = [&](bool executor) {
    return std::ranges::find_if(site->apps,
                                [&](const SiteApp& app) { return Runs(app, executor); });
  };
  std::string chosen = "cpu";
  if (some(true) != site->apps.end()) {
    for (const unsigned core : cores) {
      add(fmt::format("cpu:{}", core), placement::DeviceKind::kExecutor, 0);
    }
  }
  if (const auto app = some(false); app != site->apps.end()) {
    if (gpus.empty()) {
      return Error{fmt::format(
          "devices: auto: {} needs a GPU, and there is none: {}; expected 'executor: true' for "
          "apps that run on the CPU",
          app->stream.name, why_no_gpus)};
    }
    chosen.clear();
    for (const device::Gpu& gpu : gpus) {
      if (gpu.model != gpus.front().model) {
        return Error{fmt::format(
            "devices: auto: {} is a {} and {} is a {}, whose speeds nobody knows; expected "
            "devices with their speed: [{{name: a, on: gpu:0, speed: 1}}]",
            device::GpuName(gpus.front().number), gpus.front().model, device::GpuName(gpu.number),
            gpu.model)};
      }
      add(device::GpuName(gpu.number), placement::DeviceKind::kGpu,
          static_cast<double>(gpu.memory_bytes) / 1e9);
      chosen += (chosen.empty() ? "" : ",") + device::GpuName(gpu.number);
    }
  }
  site->declared = std::move(found);
  site->devices = chosen;
  return {};
}

}  // namespace stagger::cli
