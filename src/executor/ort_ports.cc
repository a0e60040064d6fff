#include "executor/ort_ports.h"

#include <fmt/core.h>

#include <algorithm>

namespace stagger::executor {
namespace {

Result<std::string> ReadName(const Runtime& runtime, const OrtSession* session, std::size_t index,
                             bool input) {
  const OrtApi& api = runtime.api();
  OrtAllocator* allocator = nullptr;
  if (const auto got = runtime.Check(api.GetAllocatorWithDefaultOptions(&allocator)); !got) {
    return got.error();
  }
  char* text = nullptr;
  const auto got =
      runtime.Check(input ? api.SessionGetInputName(session, index, allocator, &text)
                          : api.SessionGetOutputName(session, index, allocator, &text));
  if (!got) return got.error();
  std::string name = text;
  allocator->Free(allocator, text);
  return name;
}

Result<void> ReadShape(const Runtime& runtime, const OrtTensorTypeAndShapeInfo* shape, Port* port) {
  const OrtApi& api = runtime.api();
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  if (auto got = runtime.Check(api.GetTensorElementType(shape, &type)); !got) return got;
  if (auto got = runtime.Check(api.GetDimensionsCount(shape, &rank)); !got) return got;
  port->type = static_cast<std::uint32_t>(type);
  port->dims.resize(rank);
  if (auto got = runtime.Check(api.GetDimensions(shape, port->dims.data(), rank)); !got) return got;
  std::vector<const char*> symbols(rank, nullptr);
  if (auto got = runtime.Check(api.GetSymbolicDimensions(shape, symbols.data(), rank)); !got) {
    return got;
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
  Result<std::string> name = ReadName(runtime, session, index, input);
  if (!name) return name.error();
  Port port;
  port.name = std::move(name).value();
  OrtTypeInfo* info = nullptr;
  if (const auto got = runtime.Check(input ? api.SessionGetInputTypeInfo(session, index, &info)
                                           : api.SessionGetOutputTypeInfo(session, index, &info));
      !got) {
    return got.error();
  }
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  Result<void> read = runtime.Check(api.GetOnnxTypeFromTypeInfo(info, &kind));
  const OrtTensorTypeAndShapeInfo* shape = nullptr;
  if (read && kind == ONNX_TYPE_TENSOR) {
    read = runtime.Check(api.CastTypeInfoToTensorInfo(info, &shape));
    if (read) read = ReadShape(runtime, shape, &port);
  }
  api.ReleaseTypeInfo(info);
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
    Result<Port> port = ReadPort(runtime, session, i, inputs);
    if (!port) return port.error();
    ports.push_back(std::move(port).value());
  }
  return ports;
}

Result<void> CompareDescriptions(const Runtime& runtime, const OrtSession* session,
                                 const std::string& stub) {
  const OrtApi& api = runtime.api();
  OrtSessionOptions* options = nullptr;
  if (auto made = runtime.Check(api.CreateSessionOptions(&options)); !made) return made;
  OrtSession* described = nullptr;
  Result<void> result = runtime.Check(api.SetIntraOpNumThreads(options, 1));
  if (result) {
    result = runtime.Check(api.SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL));
  }
  if (result) {
    result = runtime.Check(
        api.CreateSessionFromArray(runtime.env(), stub.data(), stub.size(), options, &described));
  }
  api.ReleaseSessionOptions(options);
  if (!result) return Error{"it cannot be described: " + result.error().message};
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
  int is_tensor = 0;
  if (auto got = runtime.Check(api.IsTensor(value, &is_tensor)); !got) return got;
  if (is_tensor == 0) return Error{"an output is no tensor"};
  OrtTensorTypeAndShapeInfo* shape = nullptr;
  if (auto got = runtime.Check(api.GetTensorTypeAndShape(value, &shape)); !got) return got;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  Result<void> read = runtime.Check(api.GetTensorElementType(shape, &type));
  if (read) read = runtime.Check(api.GetDimensionsCount(shape, &rank));
  if (read && rank > wire::kMaxRank) read = Error{"an output has too many dimensions"};
  if (read) read = runtime.Check(api.GetDimensions(shape, place->dims.data(), rank));
  api.ReleaseTensorTypeAndShapeInfo(shape);
  if (!read) return read;
  place->type = static_cast<std::uint32_t>(type);
  place->rank = static_cast<std::uint32_t>(rank);
  place->bytes = wire::TensorBytes(place->type, std::span(place->dims).first(rank));
  if (place->bytes == wire::kNoSize) return Error{"an output is no tensor of numbers"};
  return runtime.Check(api.GetTensorMutableData(value, data));
}

}  // namespace stagger::executor
