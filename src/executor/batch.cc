#include "executor/batch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/try.h"

namespace stagger::executor {
namespace {

constexpr double kTolerance = 1e-5;

// Of the outputs: what the model promises; a runtime that needs more makes them itself (ort_model).
std::uint64_t OutputBytes(const Model& model, std::uint64_t items) {
  std::uint64_t bytes = wire::kLayoutBytes;
  for (const Port& port : model.outputs()) bytes += wire::Aligned(ItemBytes(port) * items);
  return wire::Aligned(bytes);
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

// Whether two answers are the same: floats within 1e-5 of the largest of a tensor, others exactly.
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

}  // namespace

std::uint64_t ItemBytes(const Port& port) {
  return wire::TensorBytes(port.type, std::span(port.dims).subspan(1));
}

int ItemsOf(const std::vector<Port>& inputs, const std::vector<Port>& outputs,
            const wire::Layout& request) {
  if (request.count != inputs.size() || request.wanted_count == 0 ||
      request.wanted_count > outputs.size()) {
    return 0;
  }
  const std::int64_t items = request.tensors[0].dims[0];
  if (items < 1 || items > 1024) return 0;
  std::vector<bool> seen(inputs.size(), false);
  for (const wire::TensorPlace& place : std::span(request.tensors).first(request.count)) {
    if (place.index >= inputs.size() || seen[place.index]) return 0;
    seen[place.index] = true;
    const Port& port = inputs[place.index];
    if (place.type != port.type || place.rank != port.dims.size() || place.dims[0] != items ||
        !std::equal(port.dims.begin() + 1, port.dims.end(), place.dims.begin() + 1)) {
      return 0;
    }
  }
  for (const std::uint32_t wanted : std::span(request.wanted).first(request.wanted_count)) {
    if (wanted >= outputs.size()) return 0;
  }
  return static_cast<int>(items);
}

bool GoTogether(const wire::Layout& a, const wire::Layout& b) {
  const auto wanted = [](const wire::Layout& layout) {
    return std::span(layout.wanted).first(layout.wanted_count);
  };
  return std::ranges::equal(wanted(a), wanted(b));
}

std::uint64_t BytesPerItem(const std::vector<Port>& inputs, const std::vector<Port>& outputs) {
  std::uint64_t bytes = 1;
  for (const auto* ports : {&inputs, &outputs}) {
    for (const Port& port : *ports) bytes += ItemBytes(port);
  }
  return bytes;
}

bool Batch::Memory::Reserve(std::uint64_t size) {
  if (size <= bytes) return true;
  at.reset(
      static_cast<std::byte*>(std::aligned_alloc(wire::kTensorAlignment, wire::Aligned(size))));
  bytes = at ? size : 0;
  return bytes > 0;
}

Result<void> Batch::Gather(const Model& model, std::span<const Work> parts, wire::Layout* request) {
  std::int64_t items = 0;
  for (const Work& part : parts) items += part.request->tensors[0].dims[0];
  *request = *parts.front().request;
  std::uint64_t end = wire::kLayoutBytes;
  for (wire::TensorPlace& place : std::span(request->tensors).first(request->count)) {
    place.dims[0] = items;
    place.bytes = ItemBytes(model.inputs()[place.index]) * static_cast<std::uint64_t>(items);
    place.offset = wire::Aligned(end);
    end = place.offset + place.bytes;
  }
  if (!input_.Reserve(end)) return Error{"no memory to gather a batch"};
  for (const wire::TensorPlace& place : std::span(request->tensors).first(request->count)) {
    std::byte* to = input_.at.get() + place.offset;
    for (const Work& part : parts) {
      const auto tensors = std::span(part.request->tensors).first(part.request->count);
      const auto from = std::ranges::find(tensors, place.index, &wire::TensorPlace::index);
      if (from->bytes > 0) std::memcpy(to, part.input + from->offset, from->bytes);
      to += from->bytes;
    }
  }
  return {};
}

Result<wire::Layout> Batch::RunInto(Model& model, const wire::Layout& request, std::byte* input,
                                    Memory* output) {
  const auto items = static_cast<std::uint64_t>(request.tensors[0].dims[0]);
  if (!output->Reserve(OutputBytes(model, items))) return Error{"no memory to scatter a batch"};
  const Work work{.request = &request,
                  .input = input,
                  .output = output->at.get(),
                  .output_capacity = output->bytes,
                  .reserve_output = [&](std::uint64_t bytes) { return bytes <= output->bytes; }};
  if (const auto ran = model.Run(work); !ran) return ran.error();
  wire::Layout answer;
  if (!wire::ReadLayout(output->at.get(), &answer)) return Error{"a damaged answer"};
  return answer;
}

Result<void> Batch::Scatter(const wire::Layout& answer, std::span<const Work> parts,
                            std::int64_t items) const {
  std::int64_t first = 0;
  for (const Work& part : parts) {
    const std::int64_t mine = part.request->tensors[0].dims[0];
    wire::Layout layout = answer;
    std::uint64_t end = wire::kLayoutBytes;
    for (wire::TensorPlace& place : std::span(layout.tensors).first(layout.count)) {
      if (place.rank == 0 || place.dims[0] != items) {
        return Error{"an output does not have the batch's size"};
      }
      place.dims[0] = mine;
      place.bytes =
          place.bytes / static_cast<std::uint64_t>(items) * static_cast<std::uint64_t>(mine);
      place.offset = wire::Aligned(end);
      end = place.offset + place.bytes;
    }
    if (end > part.output_capacity || !part.reserve_output(end)) {
      return Error{"the outputs find no room in shared memory"};
    }
    for (std::uint32_t i = 0; i < layout.count; ++i) {
      const wire::TensorPlace& to = layout.tensors[i];
      if (to.bytes == 0) continue;
      const std::uint64_t from = answer.tensors[i].offset + to.bytes /
                                                                static_cast<std::uint64_t>(mine) *
                                                                static_cast<std::uint64_t>(first);
      std::memcpy(part.output + to.offset, output_.at.get() + from, to.bytes);
    }
    wire::WriteLayout(layout, part.output);
    first += mine;
  }
  return {};
}

Result<void> Batch::Run(Model& model, std::span<const Work> parts) {
  wire::Layout request;
  if (auto gathered = Gather(model, parts, &request); !gathered) return gathered;
  const wire::Layout answer = STAGGER_TRY(RunInto(model, request, input_.at.get(), &output_));
  return Scatter(answer, parts, request.tensors[0].dims[0]);
}

bool Batch::SameAlone(Model& model, const Work& part) {
  const Result<wire::Layout> alone = RunInto(model, *part.request, part.input, &output_);
  wire::Layout together;
  if (!alone || !wire::ReadLayout(part.output, &together)) return false;
  return SameOutputs(together, part.output, *alone, output_.at.get());
}

}  // namespace stagger::executor
