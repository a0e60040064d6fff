// Which devices a process sees, and in which order, by CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER
// as NVIDIA's driver reads them. Pure.
#pragma once

#include <vector>

#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

// `all`: by number, as NVML counts. Lost ones are none. `visible`: numbers, or UUIDs that may be
// cut short, with commas; the first that is none ends the list; one that comes twice makes it
// empty; null: all. `order`: "PCI_BUS_ID" is by number, anything else the fastest first.
std::vector<Welcome> VisibleDevices(const std::vector<Welcome>& all, const char* visible,
                                    const char* order);

// The number that each of these has in `all`.
std::uint32_t NumberOf(const std::vector<Welcome>& all, const Welcome& device);

}  // namespace stagger::vgpu
