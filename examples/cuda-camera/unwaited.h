// Shapes that never wait for the GPU before the end.
#pragma once

#include <memory>

#include "inference.h"

namespace cuda_camera {

// Copies in, kernels, copies out, without end.
std::unique_ptr<Inference> MakeUnwaited(const Settings& settings, const Gpu& gpu);
// Kernels only.
std::unique_ptr<Inference> MakeLaunchesOnly(const Settings& settings, const Gpu& gpu);

}  // namespace cuda_camera
