// An app's way to the virtual GPU's server. Blocks for as long as the server takes to answer.
#pragma once

#include "base/fd.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

// Connects and says hello. Invalid: nobody is there. `welcome->result` is the server's answer.
UniqueFd Connect(const char* path, const Hello& hello, Welcome* welcome);

}  // namespace stagger::vgpu
