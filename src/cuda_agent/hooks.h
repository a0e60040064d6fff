// The functions that stand before the driver's.
#pragma once

#include <cstddef>

#include "cuda_agent/real_driver.h"

namespace stagger::cuda_agent {

// What is handed out instead of the driver's function at this place in cuda::kCalls; null: nothing
// is, the app gets the driver's own.
void* HookFor(std::size_t at);

}  // namespace stagger::cuda_agent
