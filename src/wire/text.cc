#include "wire/text.h"

namespace stagger::wire {
namespace {

// Length of the character that `s` (not empty) starts with; 0 if it is no text.
// The ranges are Unicode's table 3-7: no over-long forms, no surrogates, nothing past U+10FFFF.
std::size_t CharLength(std::string_view s) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto continues = [&](std::size_t i, unsigned low, unsigned high) {
    return i < s.size() && at(i) >= low && at(i) <= high;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    const unsigned low = lead == 0xc2 ? 0xa0 : 0x80;  // U+0080..009F are controls
    return continues(1, low, 0xbf) ? 2 : 0;
  }
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2, 0x80, 0xbf) && continues(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool IsText(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = CharLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string CleanText(std::string_view bytes, std::size_t max_bytes) {
  std::string clean;
  while (!bytes.empty()) {
    const std::size_t length = CharLength(bytes);
    const std::string_view next = length == 0 ? std::string_view{"?"} : bytes.substr(0, length);
    if (clean.size() + next.size() > max_bytes) break;
    clean += next;
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace stagger::wire
