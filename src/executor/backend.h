// What runs inferences: a framework behind one interface. ONNX Runtime on the CPU is the first
// (ort_model.h). Loading happens on the loader's thread, running on the executor's.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "wire/tensor_layout.h"

namespace stagger::executor {

// One tensor that a model takes or gives.
struct Port {
  std::string name;
  std::uint32_t type = 0;            // ONNXTensorElementDataType
  std::vector<std::int64_t> dims;    // -1: not fixed
  std::vector<std::string> symbols;  // the names of those, where they have one
  bool fixed = false;                // rank and every dimension
  std::uint64_t bytes = 0;           // if fixed
};

// One inference: where its tensors lie and may be put.
struct Work {
  const wire::Layout* request = nullptr;  // checked already: IsSound
  std::byte* input = nullptr;
  std::byte* output = nullptr;
  std::uint64_t output_capacity = 0;
  // Memory for so much of the output region; false if there is none.
  std::function<bool(std::uint64_t)> reserve_output;
};

class Model {
 public:
  virtual ~Model() = default;

  virtual const std::vector<Port>& inputs() const = 0;
  virtual const std::vector<Port>& outputs() const = 0;
  // A small model that answers every question about inputs, outputs and metadata as this one does,
  // for the app's own session object.
  virtual const std::string& stub() const = 0;
  // Whether items along the first dimension don't touch each other: tried out, not believed.
  virtual bool batch() const = 0;

  // Runs it and writes the output region, layout and tensors. An error is the framework's.
  virtual Result<void> Run(const Work& work) = 0;
};

}  // namespace stagger::executor
