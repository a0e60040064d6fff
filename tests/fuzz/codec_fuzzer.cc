// libFuzzer's entry point for the codec: whatever bytes come, decoding neither crashes nor reads
// outside, and what decodes encodes to the very same bytes. Traps on a breach, in any build.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "wire/codec.h"

namespace {

using stagger::wire::Decode;
using stagger::wire::DecodeForeign;
using stagger::wire::Encode;

void Expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span packet(reinterpret_cast<const std::byte*>(data), size);
  if (const auto message = Decode(packet)) {
    std::vector<std::byte> again;
    Expect(Encode(*message, &again));
    Expect(again.size() == size && std::memcmp(again.data(), data, size) == 0);
    Expect(Encode(*message, std::span(again)) == size);
    Expect(std::memcmp(again.data(), data, size) == 0);
    Expect(Encode(*message, std::span(again).first(size - 1)) == 0);
  }
  if (const auto foreign = DecodeForeign(packet)) {
    std::vector<std::byte> again;
    Expect(Encode(*foreign, &again));
    Expect(Decode(again) == foreign);
  }
  return 0;
}
