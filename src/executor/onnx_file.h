// Reading and writing the little of the ONNX format (protobuf) that a stub model needs. Pure.
// Never reads outside the bytes it was given; what is damaged is an error.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stagger::executor {

// Protobuf, written field by field.
class ProtoWriter {
 public:
  void Number(std::uint32_t field, std::uint64_t value);
  void Bytes(std::uint32_t field, std::string_view value);
  void Raw(std::string_view bytes) { out_ += bytes; }  // whole fields, as they were read
  const std::string& text() const { return out_; }

 private:
  void Varint(std::uint64_t value);
  std::string out_;
};

// A model file without its nodes and weights.
struct OnnxOutline {
  std::string model_fields;  // version, producer, domain, opsets, metadata ... as they were
  std::string graph_fields;  // the graph's name and description
  std::map<std::string, std::string> values;  // inputs and outputs by name: their ValueInfoProto
  std::uint64_t opset = 0;                    // of the standard operators
  bool external_weights = false;              // in files beside the model's
};

Result<OnnxOutline> ReadOutline(std::span<const std::byte> model);

}  // namespace stagger::executor
