// `devices: auto` of a site that is planned: what this machine has, as if the site had named it.
// Reads the process's cores and asks NVML once.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/nvidia.h"
#include "site/site_file.h"

namespace stagger::cli {

// Whether `stagger up` plans a site of `devices: auto`: where apps run in executors, or all say
// what they cost here. Any other runs without a plan.
bool AutoNeedsPlan(const Site& site);

// Each core a device where apps run in executors, each GPU one where others do, of speed 1. Nothing
// changes where the site does not say `auto`. Error: profiles that were taken elsewhere, since
// nobody knows how fast this machine is beside it; unlike GPUs; no GPU for apps that need one.
Result<void> DeclareAuto(Site* site);

// The same of given cores and GPUs. `why_no_gpus` where there are none. Pure.
Result<void> Declare(std::span<const unsigned> cores, std::span<const device::Gpu> gpus,
                     const std::string& why_no_gpus, Site* site);

}  // namespace stagger::cli
