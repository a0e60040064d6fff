// A model in ONNX Runtime, on the CPU cores that the executor has, or on its GPU.
#pragma once

#include <memory>

#include "executor/backend.h"
#include "executor/runtime.h"

namespace stagger::executor {

class OrtModel : public Model {
 public:
  // An error says why the model cannot be run here: one line, for the app's user.
  // `source.options`: what an app's session options say that matters to results, as lines
  // "KEY=VALUE":
  //   optimize=N  deterministic=1  config:KEY=VALUE  free_dim:NAME=N  free_denotation:NAME=N
  static Result<std::unique_ptr<Model>> Load(const Runtime& runtime, const ModelSource& source,
                                             const Target& target);
  ~OrtModel() override;

  const std::vector<Port>& inputs() const override { return inputs_; }
  const std::vector<Port>& outputs() const override { return outputs_; }
  const std::string& stub() const override { return stub_; }
  bool batch() const override { return batch_; }
  Result<void> Run(const Work& work) override;

 private:
  class Values;

  explicit OrtModel(const Runtime& runtime) : runtime_(runtime) {}
  Result<void> Create(const ModelSource& source, const Target& target);
  Result<void> RunOnce(const Work& work, bool place_outputs);
  Result<void> PlaceOutputs(const Work& work, wire::Layout* layout, std::uint64_t* end,
                            Values* values) const;
  Result<void> CopyOutputs(const Work& work, wire::Layout* layout, std::uint64_t end,
                           const Values& values) const;

  const Runtime& runtime_;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::string stub_;
  bool batch_ = false;
  bool place_outputs_ = true;  // false once the runtime's shapes were not what the model promised
};

}  // namespace stagger::executor
