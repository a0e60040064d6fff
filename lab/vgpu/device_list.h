// A program's way to the virtual GPUs' server, and what it may ask there without using a device:
// which there are. Each question is a short connection of its own. All of it blocks for as long as
// the server takes to answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

// Connects and says hello. Invalid: nobody is there. `welcome->result` is the server's answer.
UniqueFd Connect(const char* path, const Hello& hello, Welcome* welcome);

// By number, lost ones too. Empty: nobody is there.
std::vector<Welcome> ListDevices(const char* path);

// From now on the device is lost, or there again. False: the server does not answer.
bool SwitchDevice(const char* path, std::uint32_t device, bool here);

// "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
std::string UuidText(const Welcome& device);

}  // namespace stagger::vgpu
