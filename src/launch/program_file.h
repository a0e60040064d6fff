// What a program's file alone tells of the inference runtimes in it.
#pragma once

#include <string>
#include <vector>

namespace stagger::cli {

// Inference runtimes that are linked into a file, found by names they carry: "ONNX Runtime",
// "TensorFlow Lite". Files under 1 MiB have none.
std::vector<std::string> RuntimesInside(const std::string& path);

}  // namespace stagger::cli
