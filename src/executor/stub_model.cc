#include "executor/stub_model.h"

#include <fmt/core.h>

namespace stagger::executor {
namespace {

// Field numbers are ONNX's own (onnx.proto).
constexpr std::uint64_t kOldestOpset = 9;  // has ConstantOfShape
constexpr std::uint32_t kInt64 = 7;

std::string Tensor(std::uint32_t type, bool one_dimension, std::string_view raw) {
  ProtoWriter tensor;
  if (one_dimension) tensor.Number(1, 1);
  tensor.Number(2, type);
  tensor.Bytes(9, raw);
  return tensor.text();
}

std::string Node(const char* op, std::initializer_list<std::string> inputs,
                 const std::string& output, const std::string& value = "") {
  ProtoWriter node;
  for (const std::string& input : inputs) node.Bytes(1, input);
  node.Bytes(2, output);
  node.Bytes(3, "stagger:" + output);
  node.Bytes(4, op);
  if (!value.empty()) {
    ProtoWriter attribute;
    attribute.Bytes(1, "value");
    attribute.Bytes(5, value);
    attribute.Number(20, 4);  // a tensor
    node.Bytes(5, attribute.text());
  }
  return node.text();
}

std::string ValueInfo(const Port& port, const OnnxOutline& outline) {
  // The runtime does not tell a scalar from a tensor of any rank; the file does.
  const auto in_file = outline.values.find(port.name);
  if (port.dims.empty() && in_file != outline.values.end()) return in_file->second;
  ProtoWriter shape;
  for (std::size_t i = 0; i < port.dims.size(); ++i) {
    ProtoWriter dim;
    if (port.dims[i] >= 0) {
      dim.Number(1, static_cast<std::uint64_t>(port.dims[i]));
    } else if (!port.symbols[i].empty()) {
      dim.Bytes(2, port.symbols[i]);
    }
    shape.Bytes(1, dim.text());
  }
  ProtoWriter tensor;
  tensor.Number(1, port.type);
  tensor.Bytes(2, shape.text());
  ProtoWriter type;
  type.Bytes(1, tensor.text());
  ProtoWriter info;
  info.Bytes(1, port.name);
  info.Bytes(2, type.text());
  return info.text();
}

}  // namespace

Result<std::string> WriteStub(const OnnxOutline& outline, const std::vector<Port>& inputs,
                              const std::vector<Port>& outputs) {
  if (outline.opset < kOldestOpset) {
    return Error{fmt::format("operator set {} is too old: {} or newer is needed", outline.opset,
                             kOldestOpset)};
  }
  if (inputs.empty()) return Error{"a model without inputs"};

  // Every output is a tensor of zeros whose shape nothing can be inferred of: what its value info
  // says then stands. The shape comes from an input, by ways that hide its rank.
  ProtoWriter graph;
  const std::string minus_one(8, '\xff');
  graph.Bytes(1, Node("Constant", {}, "stagger:all", Tensor(kInt64, true, minus_one)));
  graph.Bytes(1, Node("Shape", {inputs.front().name}, "stagger:shape"));
  graph.Bytes(1, Node("NonZero", {"stagger:shape"}, "stagger:found"));
  graph.Bytes(1, Node("Reshape", {"stagger:found", "stagger:all"}, "stagger:flat"));
  for (const Port& output : outputs) {
    const std::string zero(wire::ElementSize(output.type), '\0');
    graph.Bytes(
        1, Node("ConstantOfShape", {"stagger:flat"}, output.name, Tensor(output.type, true, zero)));
  }
  graph.Raw(outline.graph_fields);
  for (const Port& input : inputs) graph.Bytes(11, ValueInfo(input, outline));
  for (const Port& output : outputs) graph.Bytes(12, ValueInfo(output, outline));

  ProtoWriter model;
  model.Raw(outline.model_fields);
  model.Bytes(7, graph.text());
  return model.text();
}

}  // namespace stagger::executor
