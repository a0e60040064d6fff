// Helps libFuzzer past the header: left alone it needs millions of inputs to guess that a Grant's
// length is 48. Now and then it starts from a valid packet, and mostly the length is made to fit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/samples.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  static const auto kSamples = stagger::wire::Samples();
  if (seed % 16 == 0) {
    const auto packet = stagger::wire::FromHex(kSamples[seed / 16 % kSamples.size()].hex);
    size = std::min(packet.size(), max_size);
    for (std::size_t i = 0; i < size; ++i) data[i] = std::to_integer<std::uint8_t>(packet[i]);
  }
  size = LLVMFuzzerMutate(data, size, max_size);
  if (size >= 8 && seed / 256 % 8 != 0) {
    for (std::size_t i = 0; i < 4; ++i)
      data[4 + i] = static_cast<std::uint8_t>((size - 8) >> (8 * i));
  }
  return size;
}
