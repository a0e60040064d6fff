// Several requests of one model run as one: inputs gathered, outputs scattered. The memory for that
// is kept from one batch to the next. Used by the executor's thread.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "executor/backend.h"

namespace stagger::executor {

// How many items along the first dimension a request brings, if a batch can take it: every input,
// each of the model's own shape but for that dimension. 0: it has to run alone. `request` is sound
// (IsSound); the model's items don't touch each other (Model::batch).
int ItemsOf(const std::vector<Port>& inputs, const std::vector<Port>& outputs,
            const wire::Layout& request);

// Whether two such requests of one model ask for the same outputs.
bool GoTogether(const wire::Layout& a, const wire::Layout& b);

inline constexpr std::uint32_t kFloat = 1;  // a Port's type

// Bytes of one item, of a port whose other dimensions are fixed.
std::uint64_t ItemBytes(const Port& port);
// What one item takes of a batch's memory, bytes.
std::uint64_t BytesPerItem(const std::vector<Port>& inputs, const std::vector<Port>& outputs);

class Batch {
 public:
  struct Memory {
    std::unique_ptr<std::byte, void (*)(void*)> at{nullptr, &std::free};
    std::uint64_t bytes = 0;
    bool Reserve(std::uint64_t size);
  };

  // An error leaves the parts' inputs as they are: each can still run alone.
  Result<void> Run(Model& model, std::span<const Work> parts);
  // Runs one part alone, beside what Run wrote as its outputs: whether they are the same within
  // 1e-5 of the largest.
  bool SameAlone(Model& model, const Work& part);

 private:
  Result<void> Gather(const Model& model, std::span<const Work> parts, wire::Layout* request);
  Result<void> Scatter(const wire::Layout& answer, std::span<const Work> parts,
                       std::int64_t items) const;
  Result<wire::Layout> RunInto(Model& model, const wire::Layout& request, std::byte* input,
                               Memory* output);

  Memory input_;
  Memory output_;
};

}  // namespace stagger::executor
