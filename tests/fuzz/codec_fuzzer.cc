// libFuzzer's entry point for the codec: whatever bytes come, decoding neither crashes nor reads
// outside, and what decodes encodes to the very same bytes, less what a newer peer has appended.
// Traps on a breach, in any build.
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

// The header's type, and every known field.
bool SameButForLength(const std::vector<std::byte>& packet, const std::uint8_t* data) {
  return std::memcmp(packet.data(), data, 4) == 0 &&
         std::memcmp(packet.data() + 8, data + 8, packet.size() - 8) == 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span packet(reinterpret_cast<const std::byte*>(data), size);
  std::size_t appended = 0;
  if (const auto message = Decode(packet, &appended)) {
    const std::size_t known = size - appended;
    std::vector<std::byte> again;
    Expect(Encode(*message, &again));
    Expect(again.size() == known && SameButForLength(again, data));
    Expect(appended > 0 || std::memcmp(again.data(), data, size) == 0);
    Expect(Encode(*message, std::span(again)) == known);
    Expect(SameButForLength(again, data));
    Expect(Encode(*message, std::span(again).first(known - 1)) == 0);
  }
  if (const auto foreign = DecodeForeign(packet)) {
    std::vector<std::byte> again;
    Expect(Encode(*foreign, &again));
    Expect(Decode(again) == foreign);
  }
  return 0;
}
