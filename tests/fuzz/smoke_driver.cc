// Drives codec_fuzzer.cc without libFuzzer: mutations of one valid packet of each message, from a
// fixed seed, so that every build and every run tries the same inputs.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "wire/codec.h"
#include "wire/samples.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::byte>;
using stagger::wire::Decode;
using stagger::wire::FromHex;
using stagger::wire::Samples;

constexpr int kInputs = 200'000;
constexpr std::size_t kHeaderSize = 8;

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  Input Next(const std::vector<Input>& corpus) {
    Input input = corpus[Below(corpus.size())];
    for (std::size_t steps = 1 + Below(4); steps > 0; --steps) Change(&input, corpus);
    // A length that fits lets the payload be looked at, which is where the work is.
    if (input.size() >= kHeaderSize && Below(4) != 0) {
      const std::size_t length = input.size() - kHeaderSize;
      for (std::size_t i = 0; i < 4; ++i) input[4 + i] = static_cast<std::byte>(length >> (8 * i));
    }
    return input;
  }

 private:
  // Plain modulo: std::uniform_int_distribution differs between standard libraries.
  std::size_t Below(std::size_t end) { return random_() % end; }
  std::byte AnyByte() {
    constexpr std::byte kLikely[] = {std::byte{0},    std::byte{1},    std::byte{0x7f},
                                     std::byte{0x80}, std::byte{0xc2}, std::byte{0xff}};
    return Below(2) == 0 ? kLikely[Below(std::size(kLikely))] : static_cast<std::byte>(random_());
  }

  void Change(Input* input, const std::vector<Input>& corpus) {
    const std::size_t at = input->empty() ? 0 : Below(input->size());
    const auto here = input->begin() + static_cast<std::ptrdiff_t>(at);
    switch (input->empty() ? 3 : Below(6)) {
      case 0:
        *here ^= static_cast<std::byte>(1U << Below(8));
        break;
      case 1:
        *here = AnyByte();
        break;
      case 2:
        input->erase(here);
        break;
      case 3:
        input->insert(here, 1 + Below(20), AnyByte());
        break;
      case 4:
        input->resize(at);
        break;
      default: {  // the rest of another packet
        const Input& other = corpus[Below(corpus.size())];
        input->resize(at);
        input->insert(input->end(),
                      other.begin() + static_cast<std::ptrdiff_t>(std::min(at, other.size())),
                      other.end());
      }
    }
  }

  std::mt19937 random_;
};

}  // namespace

int main() {
  std::vector<Input> corpus;
  for (const auto& sample : Samples()) corpus.push_back(FromHex(sample.hex));
  Mutator mutator(20'240'101);
  int decoded = 0;
  for (int i = 0; i < kInputs; ++i) {
    const Input input = mutator.Next(corpus);
    // A block of exactly this size, so that a sanitizer sees any read past its end.
    const auto exact = std::make_unique<std::uint8_t[]>(input.size());
    std::transform(input.begin(), input.end(), exact.get(),
                   [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    LLVMFuzzerTestOneInput(exact.get(), input.size());
    decoded += Decode(input).has_value() ? 1 : 0;
  }
  std::printf("%d inputs, %d of them decoded\n", kInputs, decoded);
  // Both sides of the decoder must have been tried for this run to mean anything.
  const bool fair = decoded > kInputs / 100 && decoded < kInputs * 9 / 10;
  return fair ? 0 : 1;
}
