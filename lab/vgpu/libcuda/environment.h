// What a process's environment says of its virtual GPUs. Bad values are said on stderr, one line
// each, and left out.
#pragma once

#include <string>
#include <vector>

#include "lab/vgpu/protocol.h"
#include "lab/vgpu/quantity.h"

namespace stagger::vgpu {

// By CUDA_MPS_ACTIVE_THREAD_PERCENTAGE (1..100, may have a fraction) and
// CUDA_MPS_PINNED_DEVICE_MEM_LIMIT ("0=2G", "0=512M,1=1G", or UUIDs in place of numbers).
// `number`: the device's, as NVML counts.
Hello HelloFor(std::uint32_t number, const Welcome& device);

// STAGGER_VGPU_FAULT, as lab/vgpu/quantity.h reads it.
std::vector<FaultOrder> FaultsFromEnvironment();

// "stagger: virtual GPU: TEXT" on stderr.
void Complain(const std::string& text);

// Which devices a process sees, and in which order, by CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER
// as NVIDIA's driver reads them. Pure. `all`: by number, as NVML counts. Lost ones are none.
// `visible`: numbers, or UUIDs that may be cut short, with commas; the first that is none ends the
// list; one that comes twice makes it empty; null: all. `order`: "PCI_BUS_ID" is by number,
// anything else the fastest first.
std::vector<Welcome> VisibleDevices(const std::vector<Welcome>& all, const char* visible,
                                    const char* order);

// The number that each of these has in `all`.
std::uint32_t NumberOf(const std::vector<Welcome>& all, const Welcome& device);

}  // namespace stagger::vgpu
