#include "executor/batch_trial.h"

#include <gtest/gtest.h>

#include <cstring>

namespace stagger::executor {
namespace {

Port Of(const std::string& symbol, std::vector<std::int64_t> dims) {
  Port port;
  port.name.assign(1, 'p');
  port.type = 1;
  port.dims = std::move(dims);
  port.symbols.resize(port.dims.size());
  port.symbols[0] = symbol;
  return port;
}

// y = x + what the whole batch adds up to, times `mixing`.
class Adds : public Model {
 public:
  explicit Adds(float mixing) : mixing_(mixing) {}
  const std::vector<Port>& inputs() const override { return ports_; }
  const std::vector<Port>& outputs() const override { return ports_; }
  const std::string& stub() const override { return stub_; }
  bool batch() const override { return false; }
  Result<void> Run(const Work& work) override {
    const wire::TensorPlace& in = work.request->tensors[0];
    wire::Layout answer;
    answer.count = 1;
    answer.tensors[0] = in;
    answer.tensors[0].offset = wire::Aligned(wire::kLayoutBytes);
    const auto* from = reinterpret_cast<const float*>(work.input + in.offset);
    auto* to = reinterpret_cast<float*>(work.output + answer.tensors[0].offset);
    const std::size_t count = in.bytes / sizeof(float);
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += from[i];
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i] + mixing_ * sum;
    wire::WriteLayout(answer, work.output);
    return {};
  }

 private:
  float mixing_;
  std::string stub_;
  std::vector<Port> ports_{Of("N", {-1, 7})};
};

TEST(BatchTrial, OnlyItemsThatDontTouchMayBeDivided) {
  Adds apart(0);
  EXPECT_TRUE(TryBatch(apart));
  Adds mixed(0.001F);
  EXPECT_FALSE(TryBatch(mixed));
}

TEST(BatchTrial, ShapesMustSayThatTheFirstDimensionIsTheBatch) {
  EXPECT_TRUE(IsBatchShaped({Of("N", {-1, 3})}, {Of("N", {-1})}));
  EXPECT_FALSE(IsBatchShaped({Of("N", {-1, 3})}, {Of("M", {-1})})) << "as many as were found";
  EXPECT_FALSE(IsBatchShaped({Of("N", {-1, -1})}, {Of("N", {-1})})) << "an open side";
  EXPECT_FALSE(IsBatchShaped({Of("", {1, 3})}, {Of("", {1})})) << "one image at a time";
  EXPECT_FALSE(IsBatchShaped({Of("", {-1, 3})}, {Of("", {-1})})) << "without a name";
  EXPECT_FALSE(IsBatchShaped({}, {}));
}

}  // namespace
}  // namespace stagger::executor
