// What a process may ask of the virtual GPUs' server without using one: which devices there are.
// Each question is a short connection of its own. Blocks for as long as the server takes to answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

// By number, lost ones too. Empty: nobody is there.
std::vector<Welcome> ListDevices(const char* path);

// From now on the device is lost, or there again. False: the server does not answer.
bool SwitchDevice(const char* path, std::uint32_t device, bool here);

// "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
std::string UuidText(const Welcome& device);

}  // namespace stagger::vgpu
