// What runs inferences: a framework behind one interface. ONNX Runtime is the first
// (ort_backend.h); docs/executors.md says what another takes. Loading happens on the loader's
// thread, running on the executor's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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

// The device that models are loaded on.
struct Target {
  std::string name;  // as it was named: "cpu:1", "gpu:0"
  int threads = 1;   // per inference, of the CPU's part in it
  // A GPU, by its number on this machine. It is the only one that CUDA shows this process, so 0 to
  // CUDA. `why_not`: it is not to be had, so nothing can be loaded; a line for people.
  std::optional<unsigned> gpu{};
  std::string why_not{};
  std::uint64_t memory = 0;  // bytes that loaded models may take of the device's; 0: no limit
};

// A framework's library, as an app's agent names it.
struct RuntimeFile {
  std::string path;
  std::uint64_t device = 0;  // and which file that is, as the app sees it
  std::uint64_t inode = 0;
};

struct ModelSource {
  std::span<const std::byte> bytes;
  // What of the app's own settings matters to results; in words that the agent's hooks and the
  // backend of a framework agree upon.
  std::string options;
};

// One framework. On the loader's thread only; its models stay valid as long as it.
class Backend {
 public:
  virtual ~Backend() = default;

  // Makes the runtime in that file ready, and gives its version. Error: it is none of this
  // framework's, or cannot be used.
  virtual Result<std::string> Open(const RuntimeFile& runtime) = 0;
  // By a runtime that Open took. Error: why the model cannot be run here; one line, for the app's
  // user.
  virtual Result<std::unique_ptr<Model>> Load(const RuntimeFile& runtime,
                                              const ModelSource& source) = 0;
};

// All backends, in the order in which they are asked whether a runtime is theirs.
std::vector<std::unique_ptr<Backend>> MakeBackends(const Target& target);

}  // namespace stagger::executor
