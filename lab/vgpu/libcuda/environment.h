// What a process's environment says of its virtual GPU. Bad values are said on stderr, one line
// each, and left out.
#pragma once

#include <string>
#include <vector>

#include "lab/vgpu/faults.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

// By CUDA_MPS_ACTIVE_THREAD_PERCENTAGE (1..100, may have a fraction) and
// CUDA_MPS_PINNED_DEVICE_MEM_LIMIT ("0=2G", "0=512M,1=1G", or UUIDs in place of numbers).
// `number`: the device's, as NVML counts.
Hello HelloFor(std::uint32_t number, const Welcome& device);

// STAGGER_VGPU_FAULT, as lab/vgpu/faults.h reads it.
std::vector<FaultOrder> FaultsFromEnvironment();

// "stagger: virtual GPU: TEXT" on stderr.
void Complain(const std::string& text);

}  // namespace stagger::vgpu
