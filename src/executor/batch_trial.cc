#include "executor/batch_trial.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "executor/batch.h"

namespace stagger::executor {
namespace {

constexpr std::uint64_t kLargest = std::uint64_t{64} << 20;  // of an item's inputs and outputs

bool Shaped(const Port& port, const std::string& symbol) {
  if (port.dims.empty() || port.dims.size() > wire::kMaxRank) return false;
  if (port.dims[0] >= 0 || port.symbols[0].empty() || port.symbols[0] != symbol) return false;
  return std::all_of(port.dims.begin() + 1, port.dims.end(), [](auto dim) { return dim >= 0; });
}

// Small numbers without a pattern, the same each time, other ones for each item.
void Fill(const Port& port, std::byte* at, std::size_t item) {
  const std::size_t size = wire::ElementSize(port.type);
  const std::size_t count = ItemBytes(port) / size;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t number = item * count + i;
    const auto noise = static_cast<std::uint32_t>(number * 2654435761U) >> 24;  // 0..255
    if (port.type == kFloat) {
      const float value = static_cast<float>(noise) / 255.0F;
      std::memcpy(at + i * size, &value, size);
    } else {
      std::memset(at + i * size, 0, size);
      at[i * size] = static_cast<std::byte>(noise & 1);
    }
  }
}

// A request for one item and all outputs, in memory as a slot has it.
struct OneItem {
  wire::Layout request;
  Batch::Memory input;
  Batch::Memory output;

  bool Make(const Model& model, std::uint64_t room, std::size_t item) {
    if (!input.Reserve(room) || !output.Reserve(room)) return false;
    std::uint64_t end = wire::kLayoutBytes;
    for (const Port& port : model.inputs()) {
      wire::TensorPlace& place = request.tensors[request.count];
      place.index = request.count++;
      place.type = port.type;
      place.rank = static_cast<std::uint32_t>(port.dims.size());
      std::copy(port.dims.begin(), port.dims.end(), place.dims.begin());
      place.dims[0] = 1;
      place.bytes = ItemBytes(port);
      place.offset = wire::Aligned(end);
      end = place.offset + place.bytes;
      Fill(port, input.at.get() + place.offset, item);
    }
    for (std::uint32_t i = 0; i < model.outputs().size(); ++i) {
      request.wanted[request.wanted_count++] = i;
    }
    return true;
  }
};

}  // namespace

bool IsBatchShaped(const std::vector<Port>& inputs, const std::vector<Port>& outputs) {
  if (inputs.empty() || outputs.empty() || inputs[0].symbols.empty()) return false;
  const std::string& symbol = inputs[0].symbols[0];
  const auto shaped = [&](const Port& port) { return Shaped(port, symbol); };
  return std::all_of(inputs.begin(), inputs.end(), shaped) &&
         std::all_of(outputs.begin(), outputs.end(), shaped);
}

bool TryBatch(Model& model) {
  const std::uint64_t bytes = BytesPerItem(model.inputs(), model.outputs());
  if (2 * bytes > kLargest) return false;
  const std::size_t tensors = model.inputs().size() + model.outputs().size();
  const std::uint64_t room = wire::kLayoutBytes + bytes + (tensors + 1) * wire::kTensorAlignment;
  std::array<OneItem, 2> items;
  std::vector<Work> parts;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].Make(model, room, i)) return false;
    parts.push_back({.request = &items[i].request,
                     .input = items[i].input.at.get(),
                     .output = items[i].output.at.get(),
                     .output_capacity = room,
                     .reserve_output = [room](std::uint64_t size) { return size <= room; }});
  }
  Batch batch;
  return batch.Run(model, parts) &&
         std::ranges::all_of(parts, [&](const Work& part) { return batch.SameAlone(model, part); });
}

}  // namespace stagger::executor
