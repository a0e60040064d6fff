// How tensors lie in an arena. Each region (input, output) begins with a Layout; the tensors'
// bytes follow, 64-aligned. Both sides are processes of one machine, so these are plain structs.
// The reader of a layout copies it first and checks the copy: the other side could change it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace stagger::wire {

inline constexpr std::size_t kMaxTensors = 64;
inline constexpr std::size_t kMaxRank = 8;
inline constexpr std::size_t kTensorAlignment = 64;

struct TensorPlace {
  std::uint32_t index = 0;  // which of the model's inputs or outputs
  std::uint32_t type = 0;   // ONNXTensorElementDataType; fixed-size types only
  std::uint32_t rank = 0;
  std::uint32_t unused = 0;
  std::array<std::int64_t, kMaxRank> dims{};
  std::uint64_t offset = 0;  // from the region's start
  std::uint64_t bytes = 0;
};

struct Layout {
  std::uint32_t count = 0;
  std::uint32_t wanted_count = 0;  // input region: which outputs are asked for
  std::array<std::uint32_t, kMaxTensors> wanted{};
  std::array<TensorPlace, kMaxTensors> tensors{};
};

// Where the first tensor may begin.
inline constexpr std::size_t kLayoutBytes =
    (sizeof(Layout) + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;

inline constexpr std::uint64_t Aligned(std::uint64_t offset) {
  return (offset + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// To and from a region's start, as much of it as is used: what lies there goes from one core's
// cache to another's. False if it claims more than there can be.
void WriteLayout(const Layout& layout, std::byte* region);
bool ReadLayout(const std::byte* region, Layout* layout);

// Bytes of one element; 0 for types that cannot lie here (strings, unknown ones).
std::size_t ElementSize(std::uint32_t type);

// Elements times their size; nullopt-like ~0 on overflow, a negative dimension or an unfit type.
inline constexpr std::uint64_t kNoSize = ~std::uint64_t{0};
std::uint64_t TensorBytes(std::uint32_t type, std::span<const std::int64_t> dims);

// Whether every tensor and index is within bounds, in a region of `capacity` bytes.
bool IsSound(const Layout& layout, std::uint64_t capacity);

}  // namespace stagger::wire
