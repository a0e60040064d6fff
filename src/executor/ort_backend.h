// ONNX Runtime as a backend: on CPU cores, or on a GPU by its CUDA execution provider.
#pragma once

#include "executor/backend.h"
#include "executor/runtime.h"

namespace stagger::executor {

class OrtBackend : public Backend {
 public:
  explicit OrtBackend(Target target) : target_(std::move(target)) {}

  Result<std::string> Open(const RuntimeFile& runtime) override;
  Result<std::unique_ptr<Model>> Load(const RuntimeFile& runtime,
                                      const ModelSource& source) override;

 private:
  Target target_;
  Runtimes runtimes_;
};

}  // namespace stagger::executor
