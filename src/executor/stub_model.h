// The stub of a model: same inputs, outputs, operator sets and metadata, no weights. The app's
// runtime makes a session of it, which then answers the app's questions by itself. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "executor/backend.h"
#include "executor/onnx_file.h"

namespace stagger::executor {

// `inputs` and `outputs` as the runtime tells of them: it knows shapes that the file leaves out. An
// error if such a model cannot be described.
Result<std::string> WriteStub(const OnnxOutline& outline, const std::vector<Port>& inputs,
                              const std::vector<Port>& outputs);

}  // namespace stagger::executor
