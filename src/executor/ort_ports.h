// Asking ONNX Runtime about a session's inputs and outputs, and about tensors.
#pragma once

#include <string>
#include <vector>

#include "executor/backend.h"
#include "executor/runtime.h"

namespace stagger::executor {

// All inputs or outputs. An error names the one that cannot lie in shared memory (strings,
// sequences and the like).
Result<std::vector<Port>> ReadPorts(const Runtime& runtime, const OrtSession* session, bool inputs);

// Whether a session made of `stub` tells the same as `session`; an error says what differs.
Result<void> CompareDescriptions(const Runtime& runtime, const OrtSession* session,
                                 const std::string& stub);

// Type, dimensions and size into `place`, and where the data lies.
Result<void> ReadTensor(const Runtime& runtime, OrtValue* value, wire::TensorPlace* place,
                        void** data);

}  // namespace stagger::executor
