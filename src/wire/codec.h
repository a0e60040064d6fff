// Message <-> bytes. Explicit little-endian, no casts of structs, no allocation beyond the
// strings themselves. Layout: u16 type, u16 reserved (0), u32 payload length, payload.
// Pure and thread-safe. Decode accepts exactly what Encode produces: wrong lengths, unknown
// types, over-long strings, negative or absurd durations, non-0/1 flags and trailing bytes are errors.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "wire/messages.h"

namespace stagger::wire {

// Appends nothing and returns false if a field exceeds its bound (kMaxName, ...).
bool Encode(const Message& message, std::vector<std::byte>* out);

// nullopt for anything malformed. Never reads outside `packet`, never throws.
std::optional<Message> Decode(std::span<const std::byte> packet);

// "Request", "Grant" ... for logs.
const char* NameOf(const Message& message);

}  // namespace stagger::wire
