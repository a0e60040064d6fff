// Launches as the timeline takes them: the kernel's cost, its parameters' values as they are now,
// and a fault if one is ordered. The driver's lock is held.
#pragma once

#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu {

struct Grid {
  unsigned x = 1, y = 1, z = 1;
  unsigned block_x = 1, block_y = 1, block_z = 1;
};

CUresult MakeLaunch(CUfunction function, const Grid& grid, void** parameters, void** extra,
                    Task* task);

// Of a host function; one that an error before it keeps from running, and one that hears of it.
Task HostTask(CUhostFn function, void* data);
Task HostTask(std::function<void(CUresult)> host);

}  // namespace stagger::vgpu
