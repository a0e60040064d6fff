#include "agent/forward/call.h"

#include <cstring>

namespace stagger::agent {
namespace {

bool ReadShape(const OrtApi& api, const OrtValue* value, wire::TensorPlace* place) {
  OrtTensorTypeAndShapeInfo* shape = nullptr;
  if (!Ok(api, api.GetTensorTypeAndShape(value, &shape))) return false;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  const bool good = Ok(api, api.GetTensorElementType(shape, &type)) &&
                    Ok(api, api.GetDimensionsCount(shape, &rank)) && rank <= wire::kMaxRank &&
                    Ok(api, api.GetDimensions(shape, place->dims.data(), rank));
  api.ReleaseTensorTypeAndShapeInfo(shape);
  place->type = static_cast<std::uint32_t>(type);
  place->rank = static_cast<std::uint32_t>(rank);
  return good;
}

bool InCpuMemory(const OrtApi& api, const OrtValue* value) {
  const OrtMemoryInfo* memory = nullptr;
  if (!Ok(api, api.GetTensorMemoryInfo(value, &memory)) || memory == nullptr) return false;
  OrtMemoryInfoDeviceType type = OrtMemoryInfoDeviceType_GPU;
  api.MemoryInfoGetDeviceType(memory, &type);
  return type == OrtMemoryInfoDeviceType_CPU;
}

int IndexOf(const std::vector<std::string>& names, const char* name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<int>(i);
  }
  return -1;
}

bool SameShape(const wire::TensorPlace& a, const wire::TensorPlace& b) {
  if (a.type != b.type || a.rank != b.rank) return false;
  for (std::uint32_t i = 0; i < a.rank; ++i) {
    if (a.dims[i] != b.dims[i]) return false;
  }
  return true;
}

}  // namespace

bool ReadTensor(const OrtApi& api, const OrtValue* value, wire::TensorPlace* place,
                std::byte** data) {
  int is_tensor = 0;
  if (!Ok(api, api.IsTensor(value, &is_tensor)) || is_tensor == 0) return false;
  if (!ReadShape(api, value, place)) return false;
  place->bytes = wire::TensorBytes(place->type, std::span(place->dims).first(place->rank));
  if (place->bytes == wire::kNoSize || !InCpuMemory(api, value)) return false;
  void* at = nullptr;
  if (!Ok(api, api.GetTensorMutableData(const_cast<OrtValue*>(value), &at))) return false;
  *data = static_cast<std::byte*>(at);
  return true;
}

const char* Describe(const OrtApi& api, const Ports& ports, const Call& call, Request* request) {
  wire::Layout& layout = request->layout;
  if (call.input_count > wire::kMaxTensors || call.output_count > wire::kMaxTensors ||
      call.input_names == nullptr || call.inputs == nullptr || call.output_names == nullptr ||
      call.outputs == nullptr) {
    return "a call with more tensors than an executor takes, or none";
  }
  for (std::size_t i = 0; i < call.input_count; ++i) {
    const int index =
        call.input_names[i] != nullptr ? IndexOf(ports.inputs, call.input_names[i]) : -1;
    if (index < 0 || call.inputs[i] == nullptr) return "a call with an input of another name";
    wire::TensorPlace& place = layout.tensors[i];
    std::byte* data = nullptr;
    if (!ReadTensor(api, call.inputs[i], &place, &data)) {
      return "an input that is no tensor of numbers in the CPU's memory";
    }
    place.index = static_cast<std::uint32_t>(index);
    request->data[i] = data;
  }
  layout.count = static_cast<std::uint32_t>(call.input_count);
  for (std::size_t i = 0; i < call.output_count; ++i) {
    const int index =
        call.output_names[i] != nullptr ? IndexOf(ports.outputs, call.output_names[i]) : -1;
    if (index < 0) return "a call for an output of another name";
    layout.wanted[i] = static_cast<std::uint32_t>(index);
  }
  layout.wanted_count = static_cast<std::uint32_t>(call.output_count);
  Arrange(request);
  return nullptr;
}

void Arrange(Request* request) {
  request->end = wire::kLayoutBytes;
  for (std::uint32_t i = 0; i < request->layout.count; ++i) {
    wire::TensorPlace& place = request->layout.tensors[i];
    place.offset = wire::Aligned(request->end);
    request->end = place.offset + place.bytes;
  }
}

bool CopyInputs(const Request& request, ExecutorSlot* slot) {
  if (!slot->Reserve(request.end)) return false;
  for (std::uint32_t i = 0; i < request.layout.count; ++i) {
    const wire::TensorPlace& place = request.layout.tensors[i];
    if (place.bytes > 0) std::memcpy(slot->input() + place.offset, request.data[i], place.bytes);
  }
  wire::WriteLayout(request.layout, slot->input());
  return true;
}

bool ReadAnswer(const wire::Layout& request, const ExecutorSlot& slot, wire::Layout* answer) {
  if (!wire::ReadLayout(slot.output(), answer) || answer->count != request.wanted_count ||
      !wire::IsSound(*answer, slot.output_bytes())) {
    return false;
  }
  for (std::uint32_t i = 0; i < answer->count; ++i) {
    if (answer->tensors[i].index != request.wanted[i]) return false;
  }
  return true;
}

std::byte* PrepareOutput(const OrtApi& api, const Call& call, std::size_t index,
                         const wire::TensorPlace& place, bool* made) {
  std::byte* data = nullptr;
  if (call.outputs[index] != nullptr) {
    wire::TensorPlace own;
    if (!ReadTensor(api, call.outputs[index], &own, &data)) return nullptr;
    return SameShape(own, place) ? data : nullptr;
  }
  void* at = nullptr;
  if (!Ok(api, api.CreateTensorAsOrtValue(call.allocator, place.dims.data(), place.rank,
                                          static_cast<ONNXTensorElementDataType>(place.type),
                                          &call.outputs[index]))) {
    call.outputs[index] = nullptr;
    return nullptr;
  }
  *made = true;
  if (!Ok(api, api.GetTensorMutableData(call.outputs[index], &at))) return nullptr;
  return static_cast<std::byte*>(at);
}

bool Deliver(const OrtApi& api, const wire::Layout& answer, const std::byte* region,
             const Call& call) {
  std::array<bool, wire::kMaxTensors> made{};
  for (std::uint32_t i = 0; i < answer.count; ++i) {
    const wire::TensorPlace& place = answer.tensors[i];
    std::byte* to = PrepareOutput(api, call, i, place, &made[i]);
    if (to != nullptr || place.bytes == 0) {
      if (place.bytes > 0) std::memcpy(to, region + place.offset, place.bytes);
      continue;
    }
    for (std::uint32_t k = 0; k <= i; ++k) {
      if (!made[k]) continue;
      api.ReleaseValue(call.outputs[k]);
      call.outputs[k] = nullptr;
    }
    return false;
  }
  return true;
}

}  // namespace stagger::agent
