// ONNX Runtime's CUDA execution provider. It comes with the runtime's GPU packages only, and needs
// the driver, cuDNN and cuBLAS; we need none of their headers.
#pragma once

#include "executor/backend.h"
#include "executor/runtime.h"

namespace stagger::executor {

// Sessions made with `options` compute on the target's GPU, and on the CPU what has no CUDA kernel.
// Error: one line that names the device, the runtime's file and what was expected.
Result<void> AppendCuda(const Runtime& runtime, OrtSessionOptions* options, const Target& target);

}  // namespace stagger::executor
