#include "executor/ort_ports.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/try.h"

namespace stagger::executor {
namespace {

Result<void> ReadName(const Runtime& runtime, const OrtSession* session, std::size_t index,
                      bool input, std::string* name) {
  const OrtApi& api = runtime.api();
  Calls calls(runtime);
  OrtAllocator* allocator = nullptr;
  char* text = nullptr;
  if (!calls(api.GetAllocatorWithDefaultOptions(&allocator)) ||
      !calls(input ? api.SessionGetInputName(session, index, allocator, &text)
                   : api.SessionGetOutputName(session, index, allocator, &text))) {
    return calls.done();
  }
  *name = text;
  allocator->Free(allocator, text);
  return {};
}

Result<void> ReadShape(const Runtime& runtime, const OrtTensorTypeAndShapeInfo* shape, Port* port) {
  const OrtApi& api = runtime.api();
  Calls calls(runtime);
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  if (!calls(api.GetTensorElementType(shape, &type)) ||
      !calls(api.GetDimensionsCount(shape, &rank))) {
    return calls.done();
  }
  port->type = static_cast<std::uint32_t>(type);
  port->dims.resize(rank);
  std::vector<const char*> symbols(rank, nullptr);
  if (!calls(api.GetDimensions(shape, port->dims.data(), rank)) ||
      !calls(api.GetSymbolicDimensions(shape, symbols.data(), rank))) {
    return calls.done();
  }
  for (const char* symbol : symbols) port->symbols.emplace_back(symbol != nullptr ? symbol : "");
  port->bytes = wire::TensorBytes(port->type, port->dims);
  // Without dimensions it may be a scalar or a tensor of any rank.
  port->fixed = rank > 0 && port->bytes != wire::kNoSize;
  return {};
}

Result<Port> ReadPort(const Runtime& runtime, const OrtSession* session, std::size_t index,
                      bool input) {
  const OrtApi& api = runtime.api();
  Port port;
  Result<void> read = ReadName(runtime, session, index, input, &port.name);
  if (!read) return read.error();
  Calls calls(runtime);
  OrtTypeInfo* info = nullptr;
  if (!calls(input ? api.SessionGetInputTypeInfo(session, index, &info)
                   : api.SessionGetOutputTypeInfo(session, index, &info))) {
    return calls.done().error();
  }
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  const OrtTensorTypeAndShapeInfo* shape = nullptr;
  if (calls(api.GetOnnxTypeFromTypeInfo(info, &kind)) && kind == ONNX_TYPE_TENSOR &&
      calls(api.CastTypeInfoToTensorInfo(info, &shape))) {
    read = ReadShape(runtime, shape, &port);
  }
  api.ReleaseTypeInfo(info);
  if (!calls.done()) return calls.done().error();
  if (!read) return read.error();
  if (wire::ElementSize(port.type) == 0) {
    return Error{
        fmt::format("its {} '{}' is no tensor of numbers", input ? "input" : "output", port.name)};
  }
  return port;
}

bool Same(const std::vector<Port>& a, const std::vector<Port>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Port& x, const Port& y) {
    return x.name == y.name && x.type == y.type && x.dims == y.dims && x.symbols == y.symbols;
  });
}

}  // namespace

Result<std::vector<Port>> ReadPorts(const Runtime& runtime, const OrtSession* session,
                                    bool inputs) {
  const OrtApi& api = runtime.api();
  std::size_t count = 0;
  if (const auto got = runtime.Check(inputs ? api.SessionGetInputCount(session, &count)
                                            : api.SessionGetOutputCount(session, &count));
      !got) {
    return got.error();
  }
  if (count > wire::kMaxTensors) {
    return Error{fmt::format("it has {} {}; {} is the limit", count, inputs ? "inputs" : "outputs",
                             wire::kMaxTensors)};
  }
  std::vector<Port> ports;
  for (std::size_t i = 0; i < count; ++i) {
    ports.push_back(STAGGER_TRY(ReadPort(runtime, session, i, inputs)));
  }
  return ports;
}

Result<void> CompareDescriptions(const Runtime& runtime, const OrtSession* session,
                                 const std::string& stub) {
  const OrtApi& api = runtime.api();
  Calls calls(runtime);
  OrtSessionOptions* options = nullptr;
  OrtSession* described = nullptr;
  if (!calls(api.CreateSessionOptions(&options))) return calls.done();
  const bool made = calls(api.SetIntraOpNumThreads(options, 1)) &&
                    calls(api.SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL)) &&
                    calls(api.CreateSessionFromArray(runtime.env(), stub.data(), stub.size(),
                                                     options, &described));
  api.ReleaseSessionOptions(options);
  if (!made) return Error{"it cannot be described: " + calls.done().error().message};
  Result<void> result;
  for (const bool inputs : {true, false}) {
    const auto real = ReadPorts(runtime, session, inputs);
    const auto told = ReadPorts(runtime, described, inputs);
    if (!real || !told || !Same(*real, *told)) {
      result = Error{fmt::format("its {} cannot be described", inputs ? "inputs" : "outputs")};
    }
  }
  api.ReleaseSession(described);
  return result;
}

Result<void> ReadTensor(const Runtime& runtime, OrtValue* value, wire::TensorPlace* place,
                        void** data) {
  const OrtApi& api = runtime.api();
  Calls calls(runtime);
  int is_tensor = 0;
  OrtTensorTypeAndShapeInfo* shape = nullptr;
  if (!calls(api.IsTensor(value, &is_tensor))) return calls.done();
  if (is_tensor == 0) return Error{"an output is no tensor"};
  if (!calls(api.GetTensorTypeAndShape(value, &shape))) return calls.done();
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  const bool read = calls(api.GetTensorElementType(shape, &type)) &&
                    calls(api.GetDimensionsCount(shape, &rank)) && rank <= wire::kMaxRank &&
                    calls(api.GetDimensions(shape, place->dims.data(), rank));
  api.ReleaseTensorTypeAndShapeInfo(shape);
  if (rank > wire::kMaxRank) return Error{"an output has too many dimensions"};
  if (!read) return calls.done();
  place->type = static_cast<std::uint32_t>(type);
  place->rank = static_cast<std::uint32_t>(rank);
  place->bytes = wire::TensorBytes(place->type, std::span(place->dims).first(rank));
  if (place->bytes == wire::kNoSize) return Error{"an output is no tensor of numbers"};
  return runtime.Check(api.GetTensorMutableData(value, data));
}

}  // namespace stagger::executor
