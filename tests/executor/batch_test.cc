#include "executor/batch.h"

#include <gtest/gtest.h>

#include <cstring>

namespace stagger::executor {
namespace {

Port Of(const std::string& name, std::vector<std::int64_t> dims) {
  Port port;
  port.name = name;
  port.type = 1;
  port.dims = std::move(dims);
  port.symbols.resize(port.dims.size());
  port.symbols[0] = "N";
  return port;
}

// sum = a + b, twice = 2 a; from `limit` items on it fails, from `drift` on sums are a little off.
class Sums : public Model {
 public:
  const std::vector<Port>& inputs() const override { return inputs_; }
  const std::vector<Port>& outputs() const override { return outputs_; }
  const std::string& stub() const override { return stub_; }
  bool batch() const override { return true; }
  Result<void> Run(const Work& work) override {
    const float* in[2] = {};
    const std::int64_t items = work.request->tensors[0].dims[0];
    for (int i = 0; i < 2; ++i) {
      const wire::TensorPlace& place = work.request->tensors[static_cast<std::size_t>(i)];
      in[place.index] = reinterpret_cast<const float*>(work.input + place.offset);
    }
    if (items >= limit) return Error{"too many"};
    ++runs;
    wire::Layout answer;
    answer.count = work.request->wanted_count;
    std::uint64_t end = wire::kLayoutBytes;
    for (std::uint32_t i = 0; i < answer.count; ++i) {
      wire::TensorPlace& place = answer.tensors[i];
      place = {.index = work.request->wanted[i], .type = 1, .rank = 2, .dims = {items, 3}};
      place.offset = wire::Aligned(end);
      place.bytes = static_cast<std::uint64_t>(items) * 3 * sizeof(float);
      end = place.offset + place.bytes;
      auto* to = reinterpret_cast<float*>(work.output + place.offset);
      for (std::int64_t k = 0; k < items * 3; ++k) {
        const float off = items >= drift ? 0.01F : 0;
        to[k] = place.index == 0 ? in[0][k] + in[1][k] + off : 2 * in[0][k];
      }
    }
    if (!work.reserve_output(end)) return Error{"no room"};
    wire::WriteLayout(answer, work.output);
    return {};
  }

  int runs = 0;
  std::int64_t limit = 100;
  std::int64_t drift = 100;

 private:
  std::string stub_;
  std::vector<Port> inputs_{Of("a", {-1, 3}), Of("b", {-1, 3})};
  std::vector<Port> outputs_{Of("sum", {-1, 3}), Of("twice", {-1, 3})};
};

// One client: its regions, with a[k] = first + k and b[k] = 100; inputs in either order.
struct Client {
  Client(float first, std::int64_t items, bool swapped = false,
         std::vector<std::uint32_t> wanted = {0, 1})
      : input(1 << 16), output(1 << 16) {
    request.count = 2;
    for (const std::uint32_t i : {0U, 1U}) {
      wire::TensorPlace& place = request.tensors[i];
      place = {.index = swapped ? 1 - i : i, .type = 1, .rank = 2, .dims = {items, 3}};
      place.bytes = static_cast<std::uint64_t>(items) * 3 * sizeof(float);
      place.offset = wire::Aligned(wire::kLayoutBytes + i * place.bytes);
      for (std::int64_t k = 0; k < items * 3; ++k) {
        const float value = place.index == 0 ? first + static_cast<float>(k) : 100;
        std::memcpy(&input[place.offset + static_cast<std::size_t>(k) * sizeof value], &value,
                    sizeof value);
      }
    }
    for (const std::uint32_t index : wanted) request.wanted[request.wanted_count++] = index;
  }
  Work work() {
    return {.request = &request,
            .input = input.data(),
            .output = output.data(),
            .output_capacity = output.size(),
            .reserve_output = [this](std::uint64_t bytes) { return bytes <= room; }};
  }
  std::vector<float> Output(std::size_t i) const {
    wire::Layout answer;
    EXPECT_TRUE(wire::ReadLayout(output.data(), &answer));
    EXPECT_TRUE(wire::IsSound(answer, output.size()));
    std::vector<float> values(answer.tensors[i].bytes / sizeof(float));
    std::memcpy(values.data(), &output[answer.tensors[i].offset], answer.tensors[i].bytes);
    return values;
  }

  wire::Layout request;
  std::vector<std::byte> input;
  std::vector<std::byte> output;
  std::uint64_t room = 1 << 16;
};

TEST(Batch, EachGetsItsOwnWhateverItBrought) {
  Sums model;
  Client one(0, 1);
  Client three(10, 3, true);
  Client two(50, 2);
  Batch batch;
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(batch.Run(model, std::vector{one.work(), three.work(), two.work()}));
    EXPECT_EQ(one.Output(0), (std::vector<float>{100, 101, 102}));
    EXPECT_EQ(one.Output(1), (std::vector<float>{0, 2, 4}));
    EXPECT_EQ(three.Output(0), (std::vector<float>{110, 111, 112, 113, 114, 115, 116, 117, 118}));
    EXPECT_EQ(two.Output(1), (std::vector<float>{100, 102, 104, 106, 108, 110}));
  }
  EXPECT_EQ(model.runs, 2) << "one run for all";
  EXPECT_TRUE(batch.SameAlone(model, two.work()));
}

TEST(Batch, OneThatIsNotTheSameAloneIsFound) {
  Sums model;
  model.drift = 2;
  Client one(0, 1);
  Client two(5, 1);
  Batch batch;
  ASSERT_TRUE(batch.Run(model, std::vector{one.work(), two.work()}));
  EXPECT_FALSE(batch.SameAlone(model, two.work()));
}

TEST(Batch, ErrorsAreErrors) {
  Sums model;
  model.limit = 2;
  Client one(0, 1);
  Client two(5, 1);
  Batch batch;
  const Result<void> ran = batch.Run(model, std::vector{one.work(), two.work()});
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().message, "too many");
  model.limit = 100;
  two.room = wire::kLayoutBytes;
  EXPECT_FALSE(batch.Run(model, std::vector{one.work(), two.work()}));
}

TEST(Batch, OnlyRequestsOfTheModelsShapesMayShareOne) {
  Sums model;
  const auto items = [&](const Client& client) {
    return ItemsOf(model.inputs(), model.outputs(), client.request);
  };
  EXPECT_EQ(items(Client(0, 1)), 1);
  EXPECT_EQ(items(Client(0, 4, true)), 4);
  Client other(0, 2);
  other.request.tensors[1].dims[1] = 4;
  EXPECT_EQ(items(other), 0) << "another shape";
  other = Client(0, 2);
  other.request.tensors[1].dims[0] = 1;
  EXPECT_EQ(items(other), 0) << "not as many of each";
  other = Client(0, 2);
  other.request.tensors[1].type = 7;
  EXPECT_EQ(items(other), 0) << "another type";
  other = Client(0, 2);
  other.request.tensors[1].index = 0;
  EXPECT_EQ(items(other), 0) << "one of them twice";
  other = Client(0, 2);
  other.request.count = 1;
  EXPECT_EQ(items(other), 0) << "one missing";
  EXPECT_EQ(items(Client(0, 1, false, {2})), 0) << "no such output";
  EXPECT_TRUE(GoTogether(Client(0, 1).request, Client(9, 3, true).request));
  EXPECT_FALSE(GoTogether(Client(0, 1).request, Client(0, 1, false, {1}).request));
}

}  // namespace
}  // namespace stagger::executor
