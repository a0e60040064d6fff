#include "executor/onnx_file.h"

#include <optional>

namespace stagger::executor {
namespace {

constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kFixed64 = 1;
constexpr std::uint32_t kLengthDelimited = 2;
constexpr std::uint32_t kFixed32 = 5;

struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  // of a varint
  std::string_view bytes;   // of a length-delimited one
  std::string_view whole;   // tag and all
};

// Takes one field after the other off the front of a message.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}

  // Nothing at the end, or when the rest makes no sense.
  std::optional<Field> Next() {
    if (rest_.empty()) return std::nullopt;
    const std::string_view start = rest_;
    Field field;
    const std::uint64_t tag = Varint();
    field.number = static_cast<std::uint32_t>(tag >> 3);
    switch (tag & 7) {
      case kVarint:
        field.value = Varint();
        break;
      case kFixed64:
        Take(8);
        break;
      case kLengthDelimited:
        field.bytes = Take(Varint());
        break;
      case kFixed32:
        Take(4);
        break;
      default:
        good_ = false;
    }
    if (!good_) return std::nullopt;
    field.whole = start.substr(0, start.size() - rest_.size());
    return field;
  }
  bool good() const { return good_; }

 private:
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const std::string_view byte = Take(1);
      if (!good_) return 0;
      value |= static_cast<std::uint64_t>(byte[0] & 127) << shift;
      if ((byte[0] & 128) == 0) return value;
    }
    good_ = false;
    return 0;
  }
  std::string_view Take(std::uint64_t count) {
    if (count > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

// The numbers are ONNX's own (onnx.proto).
void ReadOpset(std::string_view bytes, OnnxOutline* outline) {
  std::string_view domain;
  std::uint64_t version = 0;
  ProtoReader reader(bytes);
  while (const auto field = reader.Next()) {
    if (field->number == 1) domain = field->bytes;
    if (field->number == 2) version = field->value;
  }
  if (domain.empty() || domain == "ai.onnx") outline->opset = version;
}

bool IsExternal(std::string_view tensor) {
  ProtoReader reader(tensor);
  while (const auto field = reader.Next()) {
    if (field->number == 14 && field->value == 1) return true;
  }
  return false;
}

std::string NameOf(std::string_view value_info) {
  ProtoReader reader(value_info);
  while (const auto field = reader.Next()) {
    if (field->number == 1) return std::string(field->bytes);
  }
  return "";
}

bool ReadGraph(std::string_view bytes, OnnxOutline* outline) {
  ProtoReader reader(bytes);
  while (const auto field = reader.Next()) {
    switch (field->number) {
      case 2:   // name
      case 10:  // doc_string
        outline->graph_fields += field->whole;
        break;
      case 5:  // initializer
        if (IsExternal(field->bytes)) outline->external_weights = true;
        break;
      case 11:  // input
      case 12:  // output
        outline->values[NameOf(field->bytes)] = std::string(field->bytes);
        break;
      default:
        break;
    }
  }
  return reader.good();
}

}  // namespace

void ProtoWriter::Varint(std::uint64_t value) {
  while (value > 127) {
    out_ += static_cast<char>((value & 127) | 128);
    value >>= 7;
  }
  out_ += static_cast<char>(value);
}

void ProtoWriter::Number(std::uint32_t field, std::uint64_t value) {
  Varint(std::uint64_t{field} << 3 | kVarint);
  Varint(value);
}

void ProtoWriter::Bytes(std::uint32_t field, std::string_view value) {
  Varint(std::uint64_t{field} << 3 | kLengthDelimited);
  Varint(value.size());
  out_ += value;
}

Result<OnnxOutline> ReadOutline(std::span<const std::byte> model) {
  OnnxOutline outline;
  bool has_graph = false;
  ProtoReader reader({reinterpret_cast<const char*>(model.data()), model.size()});
  while (const auto field = reader.Next()) {
    switch (field->number) {
      case 7:  // graph
        has_graph = true;
        if (!ReadGraph(field->bytes, &outline)) return Error{"the model's graph is damaged"};
        break;
      case 8:  // opset_import
        ReadOpset(field->bytes, &outline);
        outline.model_fields += field->whole;
        break;
      case 20:  // training_info
      case 25:  // functions
        break;
      default:
        outline.model_fields += field->whole;
    }
  }
  if (!reader.good() || !has_graph) return Error{"not a model in the ONNX format"};
  return outline;
}

}  // namespace stagger::executor
