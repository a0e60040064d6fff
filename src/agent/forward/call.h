// One Run call on its way to an executor: what it brings and what it wants, and the copy in and
// the copy out. Used by the thread that makes the call.
#pragma once

#include <onnxruntime_c_api.h>

#include <array>
#include <string>
#include <vector>

#include "agent/forward/executor_slot.h"
#include "wire/tensor_layout.h"

namespace stagger::agent {

// Takes ownership of a status; true if it was a success.
inline bool Ok(const OrtApi& api, OrtStatus* status) {
  if (status != nullptr) api.ReleaseStatus(status);
  return status == nullptr;
}

// The names by which a session's tensors are numbered.
struct Ports {
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

// As the app made it. Nothing is owned.
struct Call {
  const OrtRunOptions* options;
  const char* const* input_names;
  const OrtValue* const* inputs;
  std::size_t input_count;
  const char* const* output_names;
  std::size_t output_count;
  OrtValue** outputs;
  OrtAllocator* allocator = nullptr;  // for outputs that the app did not bring
};

// What a slot is told of a call, and where the inputs' bytes lie.
struct Request {
  wire::Layout layout;
  std::array<const std::byte*, wire::kMaxTensors> data{};
  std::uint64_t end = 0;  // bytes of the input region it takes
};

// Describes the call. Null, or why it cannot be sent.
const char* Describe(const OrtApi& api, const Ports& ports, const Call& call, Request* request);

// Places tensors one after the other; sets offsets and the end.
void Arrange(Request* request);

// The copy in. False if there is no room.
bool CopyInputs(const Request& request, ExecutorSlot* slot);

// A slot's answer, checked: as many outputs as were asked for, all within bounds.
bool ReadAnswer(const wire::Layout& request, const ExecutorSlot& slot, wire::Layout* answer);

// Output `index` of the call as a tensor of this type and shape, and where its bytes go: the app's
// own, if it brought one that fits, else a new one. Null if it brought one that does not.
std::byte* PrepareOutput(const OrtApi& api, const Call& call, std::size_t index,
                         const wire::TensorPlace& place, bool* made);

// The copy out of all outputs. False: nothing was handed out, run it another way.
bool Deliver(const OrtApi& api, const wire::Layout& answer, const std::byte* region,
             const Call& call);

// A tensor's type, dimensions, size and bytes, if it is one of numbers in the CPU's memory.
bool ReadTensor(const OrtApi& api, const OrtValue* value, wire::TensorPlace* place,
                std::byte** data);

}  // namespace stagger::agent
