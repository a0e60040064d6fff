#include "executor/batch_trial.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace stagger::executor {
namespace {

constexpr std::uint32_t kFloat = 1;
constexpr std::uint64_t kLargest = std::uint64_t{64} << 20;  // of an item's inputs and outputs
constexpr double kTolerance = 1e-5;

bool Shaped(const Port& port, const std::string& symbol) {
  if (port.dims.empty() || port.dims.size() > wire::kMaxRank) return false;
  if (port.dims[0] >= 0 || port.symbols[0].empty() || port.symbols[0] != symbol) return false;
  return std::all_of(port.dims.begin() + 1, port.dims.end(), [](auto dim) { return dim >= 0; });
}

std::uint64_t ItemBytes(const Port& port) {
  return wire::TensorBytes(port.type, std::span(port.dims).subspan(1));
}

// Regions as a lane has them, in plain memory.
struct Regions {
  explicit Regions(std::uint64_t bytes)
      : input(static_cast<std::byte*>(std::aligned_alloc(wire::kTensorAlignment, bytes)),
              &std::free),
        output(static_cast<std::byte*>(std::aligned_alloc(wire::kTensorAlignment, bytes)),
               &std::free),
        capacity(bytes) {}
  std::unique_ptr<std::byte, void (*)(void*)> input;
  std::unique_ptr<std::byte, void (*)(void*)> output;
  std::uint64_t capacity;
};

// Small numbers without a pattern, the same each time, other ones for each item.
void Fill(const Port& port, std::byte* at, std::size_t first_item, std::size_t items) {
  const std::size_t count = ItemBytes(port) / wire::ElementSize(port.type);
  for (std::size_t i = 0; i < items * count; ++i) {
    const std::size_t number = first_item * count + i;
    const auto noise = static_cast<std::uint32_t>(number * 2654435761U) >> 24;  // 0..255
    if (port.type == kFloat) {
      const float value = static_cast<float>(noise) / 255.0F;
      std::memcpy(at + i * sizeof value, &value, sizeof value);
    } else {
      std::memset(at + i * wire::ElementSize(port.type), 0, wire::ElementSize(port.type));
      at[i * wire::ElementSize(port.type)] = static_cast<std::byte>(noise & 1);
    }
  }
}

bool RunItems(Model& model, Regions& regions, std::size_t first, std::size_t items) {
  wire::Layout request;
  std::uint64_t end = wire::kLayoutBytes;
  for (const Port& port : model.inputs()) {
    wire::TensorPlace& place = request.tensors[request.count];
    place.index = request.count++;
    place.type = port.type;
    place.rank = static_cast<std::uint32_t>(port.dims.size());
    std::copy(port.dims.begin(), port.dims.end(), place.dims.begin());
    place.dims[0] = static_cast<std::int64_t>(items);
    place.bytes = ItemBytes(port) * items;
    place.offset = wire::Aligned(end);
    end = place.offset + place.bytes;
    Fill(port, regions.input.get() + place.offset, first, items);
  }
  for (std::uint32_t i = 0; i < model.outputs().size(); ++i) {
    request.wanted[request.wanted_count++] = i;
  }
  Work work;
  work.request = &request;
  work.input = regions.input.get();
  work.output = regions.output.get();
  work.output_capacity = regions.capacity;
  work.reserve_output = [&](std::uint64_t bytes) { return bytes <= regions.capacity; };
  return model.Run(work).has_value();
}

bool SameFloats(const std::byte* a, const std::byte* b, std::uint64_t bytes) {
  if (std::memcmp(a, b, bytes) == 0) return true;
  double largest = 0;
  double apart = 0;
  for (std::uint64_t i = 0; i < bytes; i += sizeof(float)) {
    float x = 0;
    float y = 0;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    if ((std::isnan(x) && std::isnan(y)) || (std::isinf(x) && x == y)) continue;
    if (!std::isfinite(x) || !std::isfinite(y)) return false;
    largest = std::max(largest, static_cast<double>(std::fabs(y)));
    apart = std::max(apart, static_cast<double>(std::fabs(x - y)));
  }
  return apart <= kTolerance * std::max(largest, 1e-30);
}

// One item of a batch of `items` beside the only item of another run.
bool SameItem(const Port& port, const wire::TensorPlace& many, const std::byte* batch,
              std::size_t item, const wire::TensorPlace& one, const std::byte* single) {
  const std::uint64_t bytes = ItemBytes(port);
  if (one.bytes != bytes || many.bytes != 2 * bytes) return false;
  const std::byte* a = batch + many.offset + item * bytes;
  const std::byte* b = single + one.offset;
  if (port.type != kFloat) return std::memcmp(a, b, bytes) == 0;
  double largest = 0;
  double apart = 0;
  for (std::uint64_t i = 0; i < bytes; i += sizeof(float)) {
    float x = 0;
    float y = 0;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    if (!std::isfinite(x) || !std::isfinite(y)) return false;
    largest = std::max(largest, static_cast<double>(std::fabs(y)));
    apart = std::max(apart, static_cast<double>(std::fabs(x - y)));
  }
  return apart <= kTolerance * std::max(largest, 1e-30);
}

}  // namespace

bool SameOutputs(const wire::Layout& a, const std::byte* a_region, const wire::Layout& b,
                 const std::byte* b_region) {
  if (a.count != b.count) return false;
  for (std::uint32_t i = 0; i < a.count; ++i) {
    const wire::TensorPlace& x = a.tensors[i];
    const wire::TensorPlace& y = b.tensors[i];
    if (x.type != y.type || x.bytes != y.bytes) return false;
    const std::byte* left = a_region + x.offset;
    const std::byte* right = b_region + y.offset;
    if (x.type == kFloat ? !SameFloats(left, right, x.bytes)
                         : std::memcmp(left, right, x.bytes) != 0) {
      return false;
    }
  }
  return true;
}

bool IsBatchShaped(const std::vector<Port>& inputs, const std::vector<Port>& outputs) {
  if (inputs.empty() || outputs.empty() || inputs[0].symbols.empty()) return false;
  const std::string& symbol = inputs[0].symbols[0];
  const auto shaped = [&](const Port& port) { return Shaped(port, symbol); };
  return std::all_of(inputs.begin(), inputs.end(), shaped) &&
         std::all_of(outputs.begin(), outputs.end(), shaped);
}

bool TryBatch(Model& model) {
  std::uint64_t bytes = wire::kLayoutBytes;
  for (const auto* ports : {&model.inputs(), &model.outputs()}) {
    for (const Port& port : *ports) bytes += wire::Aligned(2 * ItemBytes(port));
  }
  if (bytes > kLargest) return false;
  bytes = wire::Aligned(bytes);
  Regions together(bytes);
  Regions alone(bytes);
  if (!RunItems(model, together, 0, 2)) return false;
  wire::Layout many;
  if (!wire::ReadLayout(together.output.get(), &many)) return false;
  for (std::size_t item = 0; item < 2; ++item) {
    if (!RunItems(model, alone, item, 1)) return false;
    wire::Layout one;
    if (!wire::ReadLayout(alone.output.get(), &one)) return false;
    for (std::size_t i = 0; i < model.outputs().size(); ++i) {
      if (!SameItem(model.outputs()[i], many.tensors[i], together.output.get(), item,
                    one.tensors[i], alone.output.get())) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace stagger::executor
