// What counts as text on the wire: well-formed UTF-8 without control characters (U+0000..001F,
// U+007F..009F). Pure and thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stagger::wire {

bool IsText(std::string_view bytes);

// `bytes` made sendable: each byte that is no text becomes '?', and what exceeds `max_bytes` is
// cut off between characters. For names that users and programs choose freely.
std::string CleanText(std::string_view bytes, std::size_t max_bytes);

}  // namespace stagger::wire
