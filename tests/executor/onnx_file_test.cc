#include "executor/onnx_file.h"

#include <gtest/gtest.h>

#include "executor/stub_model.h"

namespace stagger::executor {
namespace {

std::string Opset(std::uint64_t version, const std::string& domain = "") {
  ProtoWriter writer;
  writer.Bytes(1, domain);
  writer.Number(2, version);
  return writer.text();
}

std::string Named(const std::string& name, std::uint32_t field = 1) {
  ProtoWriter writer;
  writer.Bytes(field, name);
  return writer.text();
}

std::string Initializer(bool external) {
  ProtoWriter tensor;
  tensor.Bytes(8, "w");
  tensor.Bytes(9, std::string(300, 'w'));
  if (external) tensor.Number(14, 1);
  return tensor.text();
}

std::string ModelText(bool external = false) {
  ProtoWriter graph;
  graph.Bytes(1, "a node");
  graph.Bytes(2, "graph's name");
  graph.Bytes(5, Initializer(external));
  graph.Bytes(11, Named("x"));
  graph.Bytes(12, Named("y"));
  ProtoWriter model;
  model.Number(1, 8);
  model.Bytes(2, "producer");
  model.Bytes(7, graph.text());
  model.Bytes(8, Opset(3, "ai.onnx.ml"));
  model.Bytes(8, Opset(300));
  model.Bytes(25, "a function");
  return model.text();
}

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(OnnxFile, KeepsWhatIsAskedAboutAndLeavesOutTheRest) {
  const std::string text = ModelText();
  const auto outline = ReadOutline(Bytes(text));
  ASSERT_TRUE(outline) << outline.error().message;
  EXPECT_EQ(outline->opset, 300U);
  EXPECT_FALSE(outline->external_weights);
  EXPECT_EQ(outline->values.count("x") + outline->values.count("y"), 2U);
  EXPECT_NE(outline->model_fields.find("producer"), std::string::npos);
  EXPECT_NE(outline->graph_fields.find("graph's name"), std::string::npos);
  for (const char* gone : {"a node", "www", "a function"}) {
    EXPECT_EQ((outline->model_fields + outline->graph_fields).find(gone), std::string::npos);
  }
}

TEST(OnnxFile, SeesWeightsInOtherFiles) {
  const std::string text = ModelText(true);
  EXPECT_TRUE(ReadOutline(Bytes(text))->external_weights);
}

TEST(OnnxFile, AModelCutShortAnywhereIsAnErrorOrAShorterModel) {
  const std::string text = ModelText();
  const auto whole = ReadOutline(Bytes(text));
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string cut = text.substr(0, size);
    const auto outline = ReadOutline(Bytes(cut));
    if (outline) {
      EXPECT_LE(outline->model_fields.size(), whole->model_fields.size());
    }
  }
  EXPECT_FALSE(ReadOutline(Bytes("this is no model at all")));
  EXPECT_FALSE(ReadOutline({}));
}

TEST(OnnxFile, RandomBytesNeverReadOutside) {
  std::string text = ModelText();
  unsigned state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = text;
    for (int i = 0; i < 3; ++i) {
      state = state * 1664525U + 1013904223U;
      damaged[(state >> 8) % damaged.size()] = static_cast<char>(state);
    }
    (void)ReadOutline(Bytes(damaged));  // sanitizers watch
  }
}

TEST(StubModel, IsSmallAndRefusesWhatItCannotDescribe) {
  const std::string text = ModelText();
  auto outline = ReadOutline(Bytes(text));
  Port x;
  x.name = "x";
  x.type = 1;
  x.dims = {-1, 3};
  x.symbols = {"N", ""};
  Port y;
  y.name = "y";
  y.type = 7;
  y.dims = {-1};
  y.symbols = {""};
  const auto stub = WriteStub(*outline, {x}, {y});
  ASSERT_TRUE(stub) << stub.error().message;
  EXPECT_LT(stub->size(), 1000U);
  const auto again = ReadOutline(Bytes(*stub));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->model_fields, outline->model_fields);
  EXPECT_NE(again->values.at("x").find('N'), std::string::npos);

  EXPECT_FALSE(WriteStub(*outline, {}, {y}));
  outline->opset = 8;
  const auto old = WriteStub(*outline, {x}, {y});
  ASSERT_FALSE(old);
  EXPECT_NE(old.error().message.find("operator set 8 is too old"), std::string::npos);
}

}  // namespace
}  // namespace stagger::executor
