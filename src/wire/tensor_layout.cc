#include "wire/tensor_layout.h"

#include <cstring>

namespace stagger::wire {

void WriteLayout(const Layout& layout, std::byte* region) {
  std::memcpy(region, &layout, offsetof(Layout, tensors) + layout.count * sizeof(TensorPlace));
}

bool ReadLayout(const std::byte* region, Layout* layout) {
  std::memcpy(static_cast<void*>(layout), region, offsetof(Layout, tensors));
  if (layout->count > kMaxTensors || layout->wanted_count > kMaxTensors) return false;
  std::memcpy(layout->tensors.data(), region + offsetof(Layout, tensors),
              layout->count * sizeof(TensorPlace));
  return true;
}

std::size_t ElementSize(std::uint32_t type) {
  switch (type) {  // ONNXTensorElementDataType
    case 2:        // uint8
    case 3:        // int8
    case 9:        // bool
      return 1;
    case 4:   // uint16
    case 5:   // int16
    case 10:  // float16
      return 2;
    case 1:   // float
    case 6:   // int32
    case 12:  // uint32
      return 4;
    case 7:   // int64
    case 11:  // double
    case 13:  // uint64
      return 8;
    default:
      return 0;
  }
}

std::uint64_t TensorBytes(std::uint32_t type, std::span<const std::int64_t> dims) {
  std::uint64_t bytes = ElementSize(type);
  if (bytes == 0) return kNoSize;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return kNoSize;
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dim), &bytes)) return kNoSize;
  }
  return bytes;
}

bool IsSound(const Layout& layout, std::uint64_t capacity) {
  if (layout.count > kMaxTensors || layout.wanted_count > kMaxTensors) return false;
  for (const TensorPlace& place : std::span(layout.tensors).first(layout.count)) {
    if (place.rank > kMaxRank || place.offset % kTensorAlignment != 0) return false;
    if (place.bytes != TensorBytes(place.type, std::span(place.dims).first(place.rank))) {
      return false;
    }
    if (place.offset < kLayoutBytes || place.offset > capacity) return false;
    if (place.bytes > capacity - place.offset) return false;
  }
  return true;
}

}  // namespace stagger::wire
